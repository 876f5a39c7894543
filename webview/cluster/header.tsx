import { post } from "../host.ts";
import type { ClusterView } from "../messages/cluster.ts";
import { t } from "../text.ts";
import { Announcer } from "../ui/announcer.tsx";
import { Facts } from "../ui/facts.tsx";
import { formatDollars, formatDuration, shown } from "../ui/format.ts";
import { useNow } from "../ui/hooks.ts";
import { Icon } from "../ui/icon.tsx";
import { formatCount } from "../ui/numbers.ts";
import { Button } from "../ui/toolkit.ts";

/** What the cluster is, and what can be done with it. */

type Condition = ClusterView["condition"];
type Offer = ClusterView["offers"][number];

export function Header({ cluster }: { cluster: ClusterView }) {
  const { icon, tone } = conditionIcon(cluster.condition);
  const text = conditionText(cluster.condition);
  return (
    <header class="cluster-header">
      <div class="title-line">
        <h1>{shown(cluster.name, 100)}</h1>
        <span class="state">
          <Icon name={icon} {...(tone ? { tone } : {})} />
          {text}
        </span>
        <div class="actions" role="group" aria-label={t("Cluster")}>
          {offered(cluster.offers).map(({ act, label, icon: name }) => (
            <Button key={act} label={label} icon={name} onPress={() => post({ type: "clusterAct", act, node: null })} />
          ))}
        </div>
      </div>
      <ClusterFacts cluster={cluster} />
      <Announcer on={text} text={text} />
    </header>
  );
}

function offered(offers: readonly Offer[]): { act: Offer; label: string; icon: string }[] {
  const all: { act: Offer; label: string; icon: string }[] = [
    { act: "start", label: t("Start"), icon: "play" },
    { act: "stop", label: t("Stop"), icon: "debug-pause" },
    { act: "shutDown", label: t("Shut down"), icon: "debug-stop" },
    { act: "terminal", label: t("Terminal"), icon: "terminal" },
    { act: "log", label: t("Show log"), icon: "output" },
  ];
  return all.filter(({ act }) => offers.includes(act));
}

function ClusterFacts({ cluster }: { cluster: ClusterView }) {
  const { nodes, condition, sinceMs, usdPerHour } = cluster;
  const now = useNow(sinceMs !== null);
  const replicas = nodes.reduce((sum, node) => sum + node.replicas.length, 0);
  const facts: [name: string, value: string][] = [];
  if (nodes.length > 0) facts.push([t("Nodes"), formatCount(nodes.length)]);
  if (condition === "up") facts.push([t("Replicas"), formatCount(replicas)]);
  if (cluster.helps.length > 0) facts.push([t("Helps"), shown(cluster.helps.join(", "), 300)]);
  if (cluster.helpedBy.length > 0) facts.push([t("Helped by"), shown(cluster.helpedBy.join(", "), 300)]);
  facts.push([t("Cost per hour"), formatDollars(condition === "up" ? usdPerHour : 0)]);
  if (sinceMs !== null) facts.push([t("For"), formatDuration(Math.max(0, now - sinceMs))]);
  return <Facts facts={facts} />;
}

function conditionText(condition: Condition): string {
  switch (condition) {
    case "up":
      return t("Up");
    case "idle":
      return t("Idle, starts when needed");
    case "stopped":
      return t("Stopped");
    case "launching":
      return t("Launching");
    case "ending":
      return t("Shutting down");
    case "unreachable":
      return t("Unreachable");
    case "broken":
      return t("Broken");
    case "unknown":
      return t("Looking…");
  }
}

function conditionIcon(condition: Condition): { icon: string; tone?: "ok" | "error" | "warning" } {
  switch (condition) {
    case "up":
      return { icon: "vm-active", tone: "ok" };
    case "unreachable":
      return { icon: "warning", tone: "warning" };
    case "broken":
      return { icon: "error", tone: "error" };
    case "launching":
    case "ending":
      return { icon: "vm-pending" };
    case "idle":
    case "stopped":
    case "unknown":
      return { icon: "vm-outline" };
  }
}
