import type { ClusterNode } from "../messages/cluster.ts";
import { t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { Icon } from "../ui/icon.tsx";
import { formatCount } from "../ui/numbers.ts";

/** The worker processes of all nodes, as a table. */

/** Of a table that is drawn whole. */
const maxRows = 500;
const shownHashChars = 12;

export function Replicas({ nodes }: { nodes: readonly ClusterNode[] }) {
  const rows = nodes.flatMap(({ number, host, replicas }) => replicas.map((replica) => ({ number, host, replica })));
  return (
    <section aria-label={t("Replicas")}>
      <h2>{t("Replicas")}</h2>
      {rows.length === 0 ? (
        <p class="faint">{t("No function has run here yet, or its processes were ended.")}</p>
      ) : (
        <div class="table-frame">
          <table>
            <thead>
              <tr>
                <th scope="col">{t("Replica")}</th>
                <th scope="col">{t("Node")}</th>
                <th scope="col">{t("Env")}</th>
                <th scope="col">{t("State")}</th>
                <th scope="col" class="number">
                  {t("Memory")}
                </th>
                <th scope="col" class="number">
                  {t("Process")}
                </th>
                <th scope="col">{t("Code")}</th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, maxRows).map(({ number, host, replica }) => (
                <tr key={`${number}:${replica.id}`}>
                  <th scope="row">{replica.id}</th>
                  <td>{shown(host, 200)}</td>
                  <td>{shown(replica.env, 100)}</td>
                  <td>
                    <span class="state">
                      <Icon name={replica.active > 0 ? "gear" : "circle-outline"} />
                      {replica.active > 0 ? t("busy") : t("idle")}
                    </span>
                  </td>
                  <td class="number">{t("{0} MiB", formatCount(Math.round(replica.residentMiB)))}</td>
                  <td class="number">{replica.pid}</td>
                  <td class="code">{shown(replica.bundle.slice(0, shownHashChars), shownHashChars)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rows.length > maxRows && <p class="faint">{t("{0} more are not shown.", formatCount(rows.length - maxRows))}</p>}
    </section>
  );
}
