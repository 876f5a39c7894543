import { useMemo } from "preact/hooks";
import { post } from "../host.ts";
import type { ClusterMetrics, ClusterNode } from "../messages/cluster.ts";
import { counted, t } from "../text.ts";
import { Chart } from "../ui/chart.tsx";
import { formatPercent, formatTick, shown } from "../ui/format.ts";
import { Icon } from "../ui/icon.tsx";
import { formatNumber } from "../ui/numbers.ts";
import { Button } from "../ui/toolkit.ts";

/** A node: what it is, and how busy its processors and its memory have been. */

const heightPx = 130;

interface NodeProps {
  node: ClusterNode;
  /** Whether its cluster is: then a node that says nothing of itself is missing. */
  isUp: boolean;
  metrics: ClusterMetrics | undefined;
}

export function Node({ node, isUp, metrics }: NodeProps) {
  const { number, host, load, away } = node;
  const name = shown(host, 200);
  const act = (what: "terminal" | "log") => post({ type: "clusterAct", act: what, node: number });
  return (
    <li class="node">
      <div class="node-head">
        <h3>{name}</h3>
        <span class="faint">{factsOf(node)}</span>
        {load === null && isUp && (
          <span class="state">
            <Icon name="warning" tone="warning" />
            {awayText(away)}
          </span>
        )}
        <span class="actions">
          <Button
            look="icon"
            icon="terminal"
            label={t("Open a terminal on {0}", name)}
            onPress={() => act("terminal")}
          />
          <Button look="icon" icon="output" label={t("Show the log of {0}", name)} onPress={() => act("log")} />
        </span>
      </div>
      {load !== null && metrics !== undefined && metrics.cpuShares.length > 0 ? (
        <Charts node={node} metrics={metrics} />
      ) : (
        load !== null && <p class="faint">{nowText(node, load)}</p>
      )}
    </li>
  );
}

function awayText(why: ClusterNode["away"]): string {
  switch (why) {
    case "unreachable":
      return t("unreachable");
    case "silent":
      return t("its agent does not run");
    case "uncarried":
      return t("relayed, and no client carries its traffic");
    case "cut-off":
      return t("does not get through to the queue");
    case null:
      return t("not heard of");
  }
}

function Charts({ node, metrics }: { node: ClusterNode; metrics: ClusterMetrics }) {
  const { cpuShares, usedMiB, stepMs } = metrics;
  const seconds = useMemo(() => cpuShares.map((_, at) => ((at - cpuShares.length + 1) * stepMs) / 1_000), [metrics]);
  // Ticks are to be whole GiB.
  const usedGiB = useMemo(() => usedMiB.map(inGiB), [metrics]);
  const name = shown(node.host, 200);
  const cpuNow = cpuShares.at(-1) ?? 0;
  const memoryNow = usedMiB.at(-1) ?? 0;
  const cpuText = t("CPU: {0} now, {1} at most", formatPercent(cpuNow), formatPercent(highest(cpuShares)));
  const memoryText = t("Memory: {0} now, {1} at most", formatGiB(memoryNow), formatGiB(highest(usedMiB)));
  return (
    <div class="charts">
      <figure>
        <figcaption>{cpuText}</figcaption>
        <Chart
          label={t("{0}: {1}", name, cpuText)}
          seconds={seconds}
          series={[{ label: t("CPU"), values: cpuShares, colour: "charts-blue" }]}
          formatX={agoText}
          formatY={formatPercent}
          maxY={1}
          heightPx={heightPx}
        />
      </figure>
      <figure>
        <figcaption>{memoryText}</figcaption>
        <Chart
          label={t("{0}: {1}", name, memoryText)}
          seconds={seconds}
          series={[{ label: t("Memory"), values: usedGiB, colour: "charts-purple" }]}
          formatX={agoText}
          formatY={gibText}
          {...(node.memoryMiB === null ? {} : { maxY: Math.max(0.1, inGiB(node.memoryMiB)) })}
          heightPx={heightPx}
        />
      </figure>
    </div>
  );
}

function factsOf({ platform, cpus, memoryMiB }: ClusterNode): string {
  return [
    ...(platform === null ? [] : [shown(platform, 100)]),
    ...(cpus === null ? [] : [counted(cpus, "{0} core", "{0} cores")]),
    ...(memoryMiB === null ? [] : [formatGiB(memoryMiB)]),
  ].join(" · ");
}

function nowText({ memoryMiB }: ClusterNode, { cpuShare, usedMiB }: { cpuShare: number; usedMiB: number }): string {
  return memoryMiB === null
    ? t("CPU {0}, memory {1}", formatPercent(cpuShare), formatGiB(usedMiB))
    : t("CPU {0}, memory {1} of {2}", formatPercent(cpuShare), formatGiB(usedMiB), formatGiB(memoryMiB));
}

function agoText(seconds: number): string {
  return seconds >= 0 ? t("now") : t("−{0}", formatTick(-seconds));
}

function formatGiB(MiB: number): string {
  return gibText(inGiB(MiB));
}

function gibText(GiB: number): string {
  return t("{0} GiB", formatNumber(GiB, { maximumFractionDigits: 1 }));
}

function inGiB(MiB: number): number {
  return MiB / 1_024;
}

function highest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
