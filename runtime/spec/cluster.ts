import * as v from "valibot";
import { specError } from "./env.ts";
import { FarcallError } from "./errors.ts";
import { checkName } from "./names.ts";

/** What a cluster is to be, as a person writes it. */
export interface ClusterSpec {
  name: string;
  /**
   * Machines of your own, each as `user@address`, `user@address:port`, or the name of a Host in the ssh config. The
   * first is the head, the node that clients talk to first. Without hosts the name is that of a cluster there is.
   */
  hosts?: string[];
  /**
   * After how many milliseconds without a call, a map or a client the agents end themselves. Default 10 minutes;
   * null for never.
   */
  autostopMs?: number | null;
  /**
   * Machines that do not get through to where the queue is are used as well: clients carry their traffic through their
   * SSH connections, so these machines work while a client is connected. Default false; once true it stays so.
   */
  relay?: boolean;
}

/** A spec with every default settled. */
export interface ResolvedClusterSpec {
  name: string;
  hosts: string[];
  autostopMs: number | null;
  /** Not there in what earlier versions wrote. */
  relay?: boolean | undefined;
}

const defaultAutostopMs = 10 * 60_000;
const maxHosts = 1_000;

const clusterSchema = v.strictObject({
  name: v.string(),
  hosts: v.optional(v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(maxHosts))),
  autostopMs: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1_000), v.maxValue(2 ** 31 - 1)))),
  relay: v.optional(v.boolean()),
});

/** Throws `spec.invalid` or `name.invalid`. Hosts are looked at when they are connected to. */
export function checkClusterSpec(spec: unknown): ClusterSpec {
  const parsed = v.safeParse(clusterSchema, spec);
  if (!parsed.success) throw specError("cluster", parsed.issues);
  const { name, hosts } = parsed.output;
  checkName("cluster", name);
  if (name === "local" && hosts) {
    throw new FarcallError("spec.invalid", "The cluster `local` is this machine and has no other hosts.", {
      hint: "Choose another name.",
    });
  }
  const twice = hosts?.find((host, at) => hosts.indexOf(host) !== at);
  if (twice !== undefined) throw new FarcallError("spec.invalid", `The host ${twice} is listed twice.`);
  return parsed.output;
}

export function resolveClusterSpec(spec: ClusterSpec & { hosts: string[] }): ResolvedClusterSpec {
  const { name, hosts, autostopMs, relay = false } = spec;
  return { name, hosts, autostopMs: autostopMs === undefined ? defaultAutostopMs : autostopMs, relay };
}
