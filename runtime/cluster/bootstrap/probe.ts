import * as v from "valibot";
import { FarcallError } from "../../spec/errors.ts";
import type { SshConnection } from "../../transport/ssh/connection.ts";
import type { Autostop } from "../autostop.ts";
import { type Relayed, relayedSchema } from "../registry.ts";
import { nodeRoot, probeCommand } from "./commands.ts";

/** What a machine is and has, as it says itself. Nothing of it is trusted further than to be shown and compared. */
export interface Probe {
  home: string;
  /** As Node calls it: `x64` or `arm64`. */
  arch: string;
  /** Such as `glibc 2.36` or `musl`; empty when it does not say. */
  libc: string;
  cpus: number;
  memoryMiB: number;
  freeMiB: number;
  tools: ReadonlySet<string>;
  /** Whether processes of the user may stay when nobody is logged in. */
  lingers: boolean;
  /** Programs of a Node that is new enough, best first. */
  nodePaths: string[];
  /** Build of this cluster's agent that lies there; empty for none. */
  build: string;
  /** Server of the queue that lies there, by the beginning of its SHA-256; empty for none. */
  server: string;
  /** What the node of this cluster that is there was told; undefined where there is none. */
  autostop: Autostop | undefined;
  /** Clusters that live there. */
  clusters: {
    id: string;
    name: string;
    hosts: string[];
    number: number;
    /** How clients carry the traffic of the machine; undefined where it needs nobody. */
    relay: Relayed | undefined;
  }[];
}

const archs: Record<string, string> = { x86_64: "x64", amd64: "x64", aarch64: "arm64", arm64: "arm64" };
const oldestNode = 24;
const neededMiB = 64;
/** A cluster has a line with all of its hosts. */
const maxLineChars = 2 ** 18;

/** Looks at a machine without changing it. Throws `node.unsupported` or `disk.full` when nothing can be put there. */
export async function probe(connection: SshConnection, id: string, signal?: AbortSignal): Promise<Probe> {
  const { status, stdout, stderr } = await connection.run(probeCommand, { input: Buffer.from(`${id}\n`), signal });
  const host = connection.target.name;
  const text = stdout.toString("utf8");
  const from = text.indexOf("\nfarcall-probe\n");
  if (status !== 0 || from === -1 || !text.includes("\nfarcall-end")) {
    throw new FarcallError(
      "node.unsupported",
      `${host} does not run a plain shell command: ${firstLine(stderr || text) || `it ended with ${status}`}.`,
      {
        hint: `Does \`ssh ${host} sh -c true\` work?`,
      },
    );
  }
  return check(host, parse(text.slice(from).split("\n").slice(2)));
}

function parse(lines: readonly string[]): Map<string, string[]> {
  const said = new Map<string, string[]>();
  for (const line of lines) {
    const at = line.indexOf("=");
    if (at < 1 || line.length > maxLineChars) continue;
    const key = line.slice(0, at);
    said.set(key, [...(said.get(key) ?? []), line.slice(at + 1)]);
  }
  return said;
}

function check(host: string, said: Map<string, string[]>): Probe {
  const one = (key: string) => said.get(key)?.[0] ?? "";
  const number = (key: string) => Number.parseInt(one(key), 10) || 0;
  const refuse = (why: string, hint?: string) =>
    new FarcallError("node.unsupported", `Farcall cannot use ${host}: ${why}.`, hint === undefined ? {} : { hint });
  const system = one("system");
  if (system !== "Linux") throw refuse(`it runs ${system || "something unknown"}`, "Nodes are Linux machines.");
  const arch = archs[one("machine")];
  if (arch === undefined) throw refuse(`its processor is ${one("machine") || "unknown"}`, "Nodes are x86-64 or arm64.");
  const home = one("home");
  if (!/^\/[^\0\n]+$/.test(home)) throw refuse("its user has no home folder");
  if (one("foreign") === "yes") throw refuse(`${home}/${nodeRoot} belongs to another user`);
  if (one("writable") !== "yes")
    throw refuse(`the home folder ${home} cannot be written to`, "Give the user a home folder it can write to.");
  const freeMiB = Math.floor(number("freeKiB") / 1024);
  if (one("freeKiB") !== "" && freeMiB < neededMiB) {
    throw new FarcallError(
      "disk.full",
      `${host} has ${freeMiB} MiB left in ${home}; Farcall needs ${neededMiB} MiB there.`,
      {
        hint: "Free some space.",
      },
    );
  }
  return {
    home,
    arch,
    libc: one("libc"),
    cpus: Math.max(1, number("cpus")),
    memoryMiB: Math.floor(number("memoryKiB") / 1024),
    freeMiB,
    tools: new Set(said.get("tool")),
    lingers: one("linger") === "Linger=yes",
    nodePaths: (said.get("node") ?? []).flatMap((line) => {
      const match = /^v(\d+)\.[\d.]+ (\/[^\0]+)$/.exec(line);
      return match && Number(match[1]) >= oldestNode ? [match[2]!] : [];
    }),
    build: /^[0-9a-f]{12}$/.test(one("build")) ? one("build") : "",
    server: /^[0-9a-f]{12}$/.test(one("server")) ? one("server") : "",
    autostop: autostopIn(one("autostop")),
    clusters: (said.get("cluster") ?? []).flatMap(clusterOf),
  };
}

/** Clocks differ by less. */
const aheadAtMostMs = 24 * 60 * 60_000;
const longestMs = 2 ** 31 - 1;

/** Earlier builds did not write when it was said. One that was said in times to come would be the last word for good. */
function autostopIn(text: string): Autostop | undefined {
  const [, ms, saidAtMs = 0] = /^(\d{1,15}) (\d{1,15})?$/.exec(text) ?? [];
  if (ms === undefined || Number(ms) > longestMs || Number(saidAtMs) > Date.now() + aheadAtMostMs) return undefined;
  return { ms: Number(ms), saidAtMs: Number(saidAtMs) };
}

function clusterOf(line: string): Probe["clusters"] {
  try {
    const { id, name, hosts, number, relay } = JSON.parse(line) as Record<string, unknown>;
    if (typeof id !== "string" || !/^[0-9a-f]{12}$/.test(id) || typeof name !== "string" || !Array.isArray(hosts))
      return [];
    return [
      {
        id,
        name,
        hosts: hosts.map(String),
        number: Number.isSafeInteger(number) ? Number(number) : 1,
        relay: v.is(relayedSchema, relay) ? relay : undefined,
      },
    ];
  } catch {
    return [];
  }
}

function firstLine(text: string): string {
  return (text.trim().split("\n")[0] ?? "").slice(0, 300);
}
