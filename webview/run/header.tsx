import { post } from "../host.ts";
import type { RunHeader } from "../messages/run.ts";
import { counted, t } from "../text.ts";
import { Facts } from "../ui/facts.tsx";
import { formatDollars, formatDuration, formatPercent, formatRate, shown } from "../ui/format.ts";
import { formatCount } from "../ui/numbers.ts";
import { useNow } from "../ui/hooks.ts";
import { Icon } from "../ui/icon.tsx";
import { Strip } from "../ui/strip.tsx";
import { Button } from "../ui/toolkit.ts";
import { isLive, stateIcon, stateText } from "./states.ts";

/** What the run is, how far it has come, and what can be done with it. */

const maxErrorChars = 20_000;

export function Header({ run, canRepeat }: { run: RunHeader; canRepeat: boolean }) {
  const isMap = run.kind === "map";
  return (
    <header class="run-header">
      <div class="title-line">
        <h1>
          <button type="button" class="link" title={t("Open the source")} onClick={() => post({ type: "openSource" })}>
            {shown(run.label, 300)}
          </button>
        </h1>
        <State run={run} />
        <Actions run={run} canRepeat={canRepeat} />
      </div>
      {isMap && <Progress run={run} />}
      <RunFacts run={run} />
      {run.error !== null && (
        <Strip
          tone="error"
          label={t("Error")}
          text={shown(run.error.message, maxErrorChars)}
          hint={run.error.hint && shown(run.error.hint, maxErrorChars)}
        />
      )}
    </header>
  );
}

function State({ run }: { run: RunHeader }) {
  const { icon, tone, spins } = stateIcon(run.state);
  return (
    <span class="state">
      <span class={spins ? "spins" : ""}>
        <Icon name={icon} {...(tone ? { tone } : {})} />
      </span>
      {stateText(run.state)}
    </span>
  );
}

function Actions({ run, canRepeat }: { run: RunHeader; canRepeat: boolean }) {
  const isMap = run.kind === "map";
  return (
    <div class="actions" role="group" aria-label={t("Run")}>
      {isMap && run.state === "running" && (
        <Button
          label={t("Pause")}
          icon="debug-pause"
          onPress={() => post({ type: "control", to: "pause" })}
          key="pause"
        />
      )}
      {isMap && (run.state === "paused" || run.state === "interrupted") && (
        <Button label={t("Resume")} icon="play" onPress={() => post({ type: "control", to: "resume" })} key="resume" />
      )}
      {(isLive(run.state) || (isMap && run.state === "interrupted")) && (
        <Button
          label={t("Cancel")}
          icon="debug-stop"
          onPress={() => post({ type: "control", to: "cancel" })}
          key="cancel"
        />
      )}
      {canRepeat && (
        <Button label={t("Run again")} icon="debug-rerun" onPress={() => post({ type: "repeat" })} key="repeat" />
      )}
      <span class="pair" key="copy">
        <Button
          look="icon"
          icon="file-code"
          label={t("Copy as script")}
          onPress={() => post({ type: "copyAs", what: "script" })}
          key="script"
        />
        <Button
          look="icon"
          icon="terminal"
          label={t("Copy as command")}
          onPress={() => post({ type: "copyAs", what: "command" })}
          key="command"
        />
      </span>
    </div>
  );
}

function countsText({ total, accepted, done, failed }: RunHeader): string {
  const text =
    total === null
      ? t("{0} done of {1} so far", formatCount(done), formatCount(accepted))
      : t("{0} of {1}", formatCount(done), formatCount(total));
  return failed === 0 ? text : t("{0} · {1} failed", text, formatCount(failed));
}

function Progress({ run }: { run: RunHeader }) {
  const { total, done, failed } = run;
  const share = total === null ? null : total === 0 ? 1 : Math.min(1, done / total);
  const text = countsText(run);
  return (
    <div class="progress-line">
      <div
        class={`progress ${share === null && run.state === "running" ? "endless" : ""}`}
        role="progressbar"
        aria-label={t("Progress")}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={share === null ? undefined : Math.floor(share * 100)}
        aria-valuetext={share === null ? text : t("{0}, {1}", formatPercent(share), text)}
      >
        <div class="bar" style={{ width: `${(share ?? 0) * 100}%` }} />
      </div>
      <span class={failed > 0 ? "counts some-failed" : "counts"}>{text}</span>
    </div>
  );
}

function RunFacts({ run }: { run: RunHeader }) {
  const live = isLive(run.state);
  const now = useNow(live);
  const elapsedMs = Math.max(0, (run.endedAtMs ?? now) - run.createdAtMs);
  const isMap = run.kind === "map";
  const rate = run.state === "running" || run.endedAtMs !== null ? run.ratePerSecond : null;
  const facts: [name: string, value: string][] = [[t("Elapsed"), formatDuration(elapsedMs)]];
  if (isMap && rate !== null) {
    facts.push([run.endedAtMs === null ? t("Rate") : t("Average rate"), formatRate(rate)]);
    if (live && run.total !== null && rate > 0 && run.done < run.total) {
      facts.push([t("Remaining"), t("about {0}", formatDuration(Math.ceil((run.total - run.done) / rate) * 1_000))]);
    }
  }
  if (isMap && live && run.active > 0)
    facts.push([t("Being worked on"), counted(run.active, "{0} input", "{0} inputs")]);
  if (live || run.replicas > 0) facts.push([t("Replicas"), formatCount(run.replicas)]);
  if (isMap || run.costUsd > 0) facts.push([t("Cost"), formatDollars(run.costUsd)]);
  facts.push([t("Env"), shown(run.env, 100)], [t("Cluster"), shown(run.cluster, 100)]);
  if (run.home !== null) facts.push([t("Belongs to"), shown(run.home, 100)]);
  for (const { cluster, done } of run.guests) facts.push([t("Done on {0}", shown(cluster, 100)), formatCount(done)]);
  return <Facts facts={facts} />;
}

/** What a screen reader is told when the state changes. */
export function announcement(run: RunHeader): string {
  const state = stateText(run.state);
  return run.kind === "map" ? t("{0}: {1}", state, countsText(run)) : state;
}
