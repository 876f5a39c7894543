import { toJson } from "../client/json.ts";
import { Cluster } from "../cluster/cluster.ts";
import type { ClusterSpec } from "../spec/cluster.ts";
import { FarcallError } from "../spec/errors.ts";
import type { Invocation } from "./main.ts";
import { asked, flag, text, texts, timeMs } from "./options.ts";

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
  await using cluster = new Cluster(spec, { logs: "ignore", ...asked() });
  const beganAtMs = performance.now();
  await cluster.up({ signal, onProgress: (line) => void process.stderr.write(`${line}\n`) });
  const nodes = cluster.record?.nodes.length ?? 1;
  const seconds = ((performance.now() - beganAtMs) / 1_000).toFixed(1);
  if (flag(values, "json")) process.stdout.write(`${toJson({ name, state: "up", nodes })}\n`);
  else process.stderr.write(`${name} is up: ${nodes === 1 ? "1 node" : `${nodes} nodes`}, after ${seconds} s.\n`);
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

export async function startCommand({ words, values, signal }: Invocation): Promise<number> {
  const name = oneName(words, "farcall start NAME");
  await using cluster = new Cluster(name, { logs: "ignore", ...asked() });
  await cluster.up({ signal, onProgress: (line) => void process.stderr.write(`${line}\n`) });
  if (flag(values, "json")) process.stdout.write(`${toJson({ name, state: "up" })}\n`);
  else process.stderr.write(`${name} is up.\n`);
  return 0;
}

function oneName([name, ...rest]: readonly string[], usage: string): string {
  if (name !== undefined && rest.length === 0) return name;
  throw new FarcallError("usage", "One cluster is needed.", { hint: `Usage: ${usage}` });
}
