import { useState } from "preact/hooks";
import * as v from "valibot";
import { PageState } from "../host.ts";
import type { ClusterMetrics, ClusterView } from "../messages/cluster.ts";
import { useStart } from "../start.ts";
import { t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { Strip } from "../ui/strip.tsx";
import { Header } from "./header.tsx";
import { Node } from "./node.tsx";
import { Replicas } from "./replicas.tsx";

/** By its name the editor opens the panel again. */
const pageState = new PageState(v.object({ cluster: v.string() }), { cluster: "" });

/** Charts of more nodes than that would be too much to draw, and to look at. */
const maxCharts = 24;

/** The page of a cluster. */
export function App() {
  const [cluster, setCluster] = useState<ClusterView>();
  const [metrics, setMetrics] = useState<ReadonlyMap<number, ClusterMetrics>>(new Map());
  const isStarted = useStart((message) => {
    if (message.type === "cluster") {
      pageState.update({ cluster: message.cluster.name });
      setCluster(message.cluster);
    } else if (message.type === "metrics") {
      const { metrics: ofNode } = message;
      setMetrics((before) => new Map(before).set(ofNode.node, ofNode));
    }
  });

  if (!isStarted || !cluster) return <main class="cluster-page" />;
  const { nodes, warnings, problem } = cluster;
  return (
    <main class="cluster-page">
      <Header cluster={cluster} />
      {problem !== "" && <Warning text={problem} />}
      {warnings.map((warning) => (
        <Warning key={warning} text={warning} />
      ))}
      <section aria-label={t("Nodes")}>
        <h2>{t("Nodes")}</h2>
        {nodes.length === 0 && <p class="faint">{t("The cluster is not running.")}</p>}
        <ul class="nodes">
          {nodes.map((node, at) => (
            <Node
              key={node.number}
              node={node}
              isUp={cluster.condition === "up"}
              metrics={at < maxCharts ? metrics.get(node.number) : undefined}
            />
          ))}
        </ul>
      </section>
      <Replicas nodes={nodes} />
    </main>
  );
}

const maxStripChars = 2_000;

function Warning({ text }: { text: string }) {
  return <Strip tone="warning" role="status" label={t("Warning")} text={shown(text, maxStripChars)} />;
}
