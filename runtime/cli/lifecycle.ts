import { toJson } from "../client/json.ts";
import { Cluster } from "../cluster/cluster.ts";
import type { ClusterSpec } from "../spec/cluster.ts";
import { missingLine } from "../cluster/missing.ts";
import { FarcallError } from "../spec/errors.ts";
import type { Invocation } from "./main.ts";
import { asked, flag, text, texts, timeMs } from "./options.ts";
import { paint } from "./terminal.ts";

/** `farcall up`, `down`, `stop` and `start`: what changes a cluster as a whole. */

export async function upCommand({ words, values, signal }: Invocation): Promise<number> {
  const name = oneName(words, "farcall up NAME --host USER@ADDRESS");
  const hosts = texts(values, "host");
  const autostopMs = text(values, "autostop") === "never" ? null : timeMs(values, "autostop");
  const spec: ClusterSpec = {
    name,
    ...(hosts.length > 0 ? { hosts } : {}),
    ...(autostopMs === undefined ? {} : { autostopMs }),
    ...(flag(values, "relay") ? { relay: true } : {}),
  };
  return bringUp(spec, values, signal);
}

export function startCommand({ words, values, signal }: Invocation): Promise<number> {
  return bringUp({ name: oneName(words, "farcall start NAME") }, values, signal);
}

async function bringUp(spec: ClusterSpec, values: Invocation["values"], signal: AbortSignal): Promise<number> {
  const { name } = spec;
  await using cluster = new Cluster(spec, { logs: "ignore", ...asked() });
  const beganAtMs = performance.now();
  const missing: string[] = [];
  await cluster.up({
    signal,
    onProgress: (line) => void process.stderr.write(`${line}\n`),
    onMissing: (host, error) => {
      missing.push(host);
      process.stderr.write(`${paint("yellow", `warning: ${missingLine(host, error)}`)}\n`);
    },
  });
  const all = cluster.record?.nodes.length ?? 1;
  const nodes = all - missing.length;
  const seconds = ((performance.now() - beganAtMs) / 1_000).toFixed(1);
  const counted = `${missing.length > 0 ? `${nodes} of ` : ""}${all === 1 ? "1 node" : `${all} nodes`}`;
  if (flag(values, "json")) process.stdout.write(`${toJson({ name, state: "up", nodes, missing })}\n`);
  else process.stderr.write(`${name} is up: ${counted}, after ${seconds} s.\n`);
  return 0;
}

export async function downCommand({ words, values, signal }: Invocation): Promise<number> {
  const name = oneName(words, "farcall down NAME");
  await using cluster = new Cluster(name, { logs: "ignore", ...asked() });
  const { wasUp, left } = await cluster.down({
    force: flag(values, "force"),
    signal,
    onProgress: (line) => void process.stderr.write(`${line}\n`),
  });
  if (flag(values, "json")) process.stdout.write(`${toJson({ name, wasUp, state: "down", left })}\n`);
  else process.stderr.write(wasUp || name !== "local" ? `${name} is down.\n` : `${name} was not up.\n`);
  if (left.length > 0) {
    process.stderr.write(
      `Farcall could not be removed from ${left.join(", ")}: the folder ~/.farcall-node may still be there.\n`,
    );
  }
  return 0;
}

export async function stopCommand({ words, values }: Invocation): Promise<number> {
  const name = oneName(words, "farcall stop NAME");
  await using cluster = new Cluster(name, { logs: "ignore", ...asked() });
  const wasUp = await cluster.stop({ force: flag(values, "force") });
  if (flag(values, "json")) process.stdout.write(`${toJson({ name, wasUp, state: "stopped" })}\n`);
  else process.stderr.write(wasUp ? `${name} is stopped.\n` : `${name} was not up.\n`);
  return 0;
}

function oneName([name, ...rest]: readonly string[], usage: string): string {
  if (name !== undefined && rest.length === 0) return name;
  throw new FarcallError("usage", "One cluster is needed.", { hint: `Usage: ${usage}` });
}
