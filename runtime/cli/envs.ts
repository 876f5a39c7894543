import type { EnvStatus } from "../protocol/messages/envs.ts";
import type { Invocation } from "./main.ts";
import { flag, noMore, openCluster } from "./options.ts";
import { toJson } from "../client/json.ts";
import { count, sanitize, table } from "./terminal.ts";

/** `farcall envs`. */

export async function envsCommand({ words, values }: Invocation): Promise<number> {
  noMore(words, "farcall envs");
  const cluster = openCluster(values, { logs: "ignore" });
  try {
    const envs = await cluster.envs.list();
    if (flag(values, "json")) process.stdout.write(`${toJson(envs, 2)}\n`);
    else if (envs.length === 0) process.stderr.write("No envs yet.\n");
    else process.stdout.write(`${table(envs.map(row), ["PACKAGES", "REPLICAS", "MIB"])}\n`);
    return 0;
  } finally {
    cluster.close();
  }
}

function row({ name, state, dependencies, reqs, varNames, liveReplicas, sizeBytes, usedAtMs }: EnvStatus) {
  return {
    ENV: name,
    STATE: state,
    PACKAGES: count(Object.keys(dependencies).length),
    MIB: sizeBytes === null ? "" : count(Math.round(sizeBytes / 2 ** 20)),
    REPLICAS: count(liveReplicas),
    REQS: sanitize(reqs.join(" "), false),
    VARS: sanitize(varNames.join(" "), false),
    USED: new Date(usedAtMs).toLocaleString("sv-SE"),
  };
}
