import { toJson } from "../client/json.ts";
import { Cluster } from "../cluster/cluster.ts";
import { FarcallError } from "../spec/errors.ts";
import type { Invocation } from "./main.ts";
import { flag, noMore } from "./options.ts";
import { count, duration, paint, table } from "./terminal.ts";

/** `farcall clusters`, `status` and `down`. */

export async function clustersCommand({ words, values }: Invocation): Promise<number> {
  noMore(words, "farcall clusters");
  const status = await statusOf("local");
  const row = {
    name: "local",
    provider: "local",
    state: status ? "up" : "down",
    nodes: 1,
    replicas: status?.replicas.length ?? 0,
    activeRuns: status?.activeRuns ?? 0,
    sinceMs: status?.startedAtMs ?? null,
    usdPerHour: 0,
  };
  if (flag(values, "json")) process.stdout.write(`${toJson([row], 2)}\n`);
  else {
    const shown = {
      NAME: row.name,
      PROVIDER: row.provider,
      STATE: row.state,
      NODES: String(row.nodes),
      REPLICAS: String(row.replicas),
      RUNS: String(row.activeRuns),
      SINCE: row.sinceMs === null ? "" : duration(Date.now() - row.sinceMs),
      "$/H": "0",
    };
    process.stdout.write(`${table([shown], ["NODES", "REPLICAS", "RUNS"])}\n`);
  }
  return 0;
}

export async function statusCommand({ words, values }: Invocation): Promise<number> {
  const [name = "local", ...rest] = words;
  noMore(rest, "farcall status [NAME]");
  const status = await statusOf(name);
  if (flag(values, "json")) {
    process.stdout.write(`${toJson(status ? { state: "up", ...status } : { state: "down" }, 2)}\n`);
    return 0;
  }
  if (!status) {
    process.stdout.write(`${name} is down. It comes up when it is first used.\n`);
    return 0;
  }
  process.stdout.write(
    [
      `${paint("bold", name, "stdout")} is up: agent ${status.version} (${status.build}), pid ${status.pid}, Node ${status.nodeVersion}`,
      `up for ${duration(Date.now() - status.startedAtMs)}, ${count(status.residentMiB)} MiB, ${some(status.clients, "client")}, ${some(status.activeRuns, "active run")}`,
      `ends after ${duration(status.idleTimeoutMs)} without clients or work`,
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

export async function downCommand({ words, values }: Invocation): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || rest.length > 0)
    throw new FarcallError("usage", "One cluster is needed.", { hint: "Usage: farcall down NAME" });
  const cluster = new Cluster(name, { logs: "ignore" });
  try {
    const wasUp = await cluster.down({ force: flag(values, "force") });
    if (flag(values, "json")) process.stdout.write(`${toJson({ name, wasUp, state: "down" })}\n`);
    else process.stderr.write(wasUp ? `${name} is down.\n` : `${name} was not up.\n`);
    return 0;
  } finally {
    cluster.close();
  }
}

function some(number: number, what: string): string {
  return `${count(number)} ${what}${number === 1 ? "" : "s"}`;
}

async function statusOf(name: string) {
  const cluster = new Cluster(name, { logs: "ignore" });
  try {
    return await cluster.status();
  } finally {
    cluster.close();
  }
}
