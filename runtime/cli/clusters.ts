import { toJson } from "../client/json.ts";
import { withSignal } from "../spec/withSignal.ts";
import { Cluster } from "../cluster/cluster.ts";
import type { Absence } from "../cluster/absence.ts";
import { type ClusterRecord, Registry } from "../cluster/registry.ts";
import type { AgentStatus } from "../protocol/messages/nodes.ts";
import { FarcallError } from "../spec/errors.ts";
import { farcallHome } from "../spec/home.ts";
import type { Invocation } from "./main.ts";
import { asked, flag, noMore } from "./options.ts";
import { sharingLines } from "./sharing.ts";
import { count, duration, paint, some, table } from "./terminal.ts";

/** `farcall clusters` and `status`: what there is. */

/** How long to wait for a cluster that is only listed. */
const lookWithinMs = 8_000;

export async function clustersCommand({ words, values, signal }: Invocation): Promise<number> {
  noMore(words, "farcall clusters");
  const names = ["local", ...new Registry(farcallHome()).names()];
  const rows = await Promise.all(names.map((name) => rowOf(name, signal)));
  if (flag(values, "json")) process.stdout.write(`${toJson(rows, 2)}\n`);
  else {
    const shown = rows.map((row) => ({
      NAME: row.name,
      PROVIDER: row.provider,
      STATE: row.state,
      NODES: String(row.nodes),
      REPLICAS: String(row.replicas),
      RUNS: String(row.activeRuns),
      SINCE: row.sinceMs === null ? "" : duration(Date.now() - row.sinceMs),
      "$/H": "0",
    }));
    process.stdout.write(`${table(shown, ["NODES", "REPLICAS", "RUNS"])}\n`);
  }
  return 0;
}

/** A cluster that cannot be reached soon is shown with what the registry has of it. */
async function rowOf(name: string, signal: AbortSignal) {
  await using cluster = new Cluster(name, { logs: "ignore" });
  const { record } = cluster;
  let status: AgentStatus | undefined;
  let state: string = record?.state ?? "down";
  try {
    status = await within(lookWithinMs, cluster.status(), signal);
    if (status) state = "up";
    else if (state === "up") state = "idle";
  } catch (error) {
    signal.throwIfAborted();
    state =
      error instanceof FarcallError && error.code.startsWith("ssh.") ? error.code.slice("ssh.".length) : "unreachable";
  }
  return {
    name,
    provider: record?.provider ?? "local",
    state,
    nodes: record?.nodes.length ?? 1,
    replicas: status?.replicas.length ?? 0,
    activeRuns: status?.activeRuns ?? 0,
    sinceMs: status?.startedAtMs ?? record?.sinceMs ?? null,
    usdPerHour: 0,
  };
}

async function within<T>(ms: number, promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new FarcallError("timeout", "No answer yet.")), ms);
  try {
    return await withSignal(promise, AbortSignal.any([signal, late.signal]));
  } finally {
    clearTimeout(timer);
  }
}

export async function statusCommand({ words, values, signal }: Invocation): Promise<number> {
  const [name = "local", ...rest] = words;
  noMore(rest, "farcall status [NAME]");
  await using cluster = new Cluster(name, { logs: "ignore", ...asked() });
  const { record } = cluster;
  const status = await cluster.status();
  const away = status ? await cluster.absences(status, signal) : [];
  if (flag(values, "json")) {
    const nodes = record
      ? {
          nodes: record.nodes.map(({ number, host, platform, cpus, memoryMiB }) => ({
            number,
            host,
            platform,
            cpus,
            memoryMiB,
          })),
        }
      : {};
    const state = status ? "up" : (record?.state ?? "down");
    const apart = record ? { relayed: relayedNodes(record, away), away } : {};
    process.stdout.write(`${toJson({ state, ...nodes, ...apart, ...status }, 2)}\n`);
    return 0;
  }
  if (!status) {
    process.stdout.write(
      record
        ? `${name} is ${record.state === "up" ? "idle: its agent ended itself" : record.state}. It starts when it is next used.\n`
        : `${name} is down. It comes up when it is first used.\n`,
    );
  }
  if (record) {
    const rows = record.nodes.map((node) => ({
      NODE: String(node.number),
      HOST: node.host,
      SYSTEM: node.platform ?? "",
      CORES: node.cpus === null ? "" : String(node.cpus),
      MIB: node.memoryMiB === null ? "" : count(node.memoryMiB),
    }));
    process.stdout.write(`${table(rows, ["NODE", "CORES", "MIB"])}\n`);
    for (const { number, isAway } of relayedNodes(record, away))
      if (!isAway) process.stdout.write(`node ${number} is relayed while a client is connected\n`);
    for (const absence of away) process.stdout.write(`${awayLine(record, absence)}\n`);
  }
  if (!status) return 0;
  process.stdout.write(
    [
      `${paint("bold", name, "stdout")} is up: agent ${status.version} (${status.build}), pid ${status.pid}, Node ${status.nodeVersion}`,
      `up for ${duration(Date.now() - status.startedAtMs)}, ${count(status.residentMiB)} MiB, ${some(status.clients, "client")}, ${some(status.activeRuns, "active run")}`,
      status.idleTimeoutMs === 0
        ? "stays up without work"
        : `ends after ${duration(status.idleTimeoutMs)} without work`,
      ...sharingLines(status),
      ...status.warnings.map((warning) => paint("yellow", `warning: ${warning}`, "stdout")),
      "",
    ].join("\n"),
  );
  if (status.replicas.length > 0) {
    const rows = status.replicas.map((replica) => ({
      REPLICA: String(replica.id),
      PID: String(replica.pid),
      ENV: replica.env,
      BUNDLE: replica.bundle,
      STATE: replica.state,
      MIB: String(replica.residentMiB),
    }));
    process.stdout.write(`${table(rows, ["REPLICA", "PID", "MIB"])}\n`);
  }
  return 0;
}

/** Nodes whose traffic goes through clients. Those that are away are among the absent. */
function relayedNodes({ nodes }: ClusterRecord, away: readonly Absence[]) {
  return nodes.flatMap(({ number, relay }) =>
    relay ? [{ number, isAway: away.some((absence) => absence.number === number) }] : [],
  );
}

function awayLine({ name, nodes }: ClusterRecord, { number, why, problem }: Absence): string {
  const isRelayed = nodes.some((node) => node.number === number && node.relay);
  const reasons: Record<Absence["why"], string> = {
    unreachable: `it cannot be reached. ${problem}`,
    silent: `no agent answers there. \`farcall up ${name}\` starts it`,
    uncarried: "no client that carries its traffic is connected",
    "cut-off": "its agent does not get through to the queue",
  };
  return `node ${number} is ${isRelayed ? "relayed and " : ""}away: ${reasons[why]}`;
}
