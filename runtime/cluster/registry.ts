import { createHash, randomBytes } from "node:crypto";
import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { FileLock } from "../spec/fileLock.ts";
import { ensurePrivateFolder } from "../spec/home.ts";
import { checkName } from "../spec/names.ts";
import { writeDurably } from "./durable.ts";
import { recordsFolder, registeredNames } from "./registeredNames.ts";

/**
 * The clusters that this user began, a file each in `FARCALL_HOME/clusters`: what was asked for, what came of it, and
 * how far that got, written before each step so that a client that dies leaves nothing nobody knows of.
 *
 * A file is replaced whole (written aside, synced, renamed) and carries a checksum. Short changes are made under the
 * lock of the cluster; bringing up and taking down is done under another, held throughout.
 */
export const relayedSchema = v.object({
  /** Numbers of the seats that the node does not get through to. */
  seats: v.array(v.number()),
  /** On which the seats listen, and the first of those on the node's own loopback that stand for them. */
  port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_000)),
});
/** How clients carry the traffic of a node. */
export type Relayed = v.InferOutput<typeof relayedSchema>;

const nodeSchema = v.object({
  /** From 1 on; a number is never used again in a cluster. Node 1 was the first host. */
  number: v.pipe(v.number(), v.integer(), v.minValue(1)),
  host: v.string(),
  /** By which this client reached it, and other nodes are to. */
  address: v.nullable(v.string()),
  /** Home folder there. */
  home: v.nullable(v.string()),
  /** Node.js program there. */
  nodePath: v.nullable(v.string()),
  /** Such as `linux x64`. */
  platform: v.nullable(v.string()),
  cpus: v.nullable(v.number()),
  memoryMiB: v.nullable(v.number()),
  /** Build of the agent that was last put there. */
  build: v.nullable(v.string()),
  /** Of a node that does not get through to all seats by itself. */
  relay: v.optional(relayedSchema),
});
export type NodeRecord = v.InferOutput<typeof nodeSchema>;

const recordSchema = v.object({
  schema: v.literal(1),
  name: v.string(),
  /** Names the cluster on its machines, so that one of the same name by somebody else is another. */
  id: v.pipe(v.string(), v.regex(/^[0-9a-f]{12}$/)),
  provider: v.literal("ssh"),
  spec: v.object({
    name: v.string(),
    hosts: v.array(v.string()),
    autostopMs: v.nullable(v.number()),
    relay: v.optional(v.boolean()),
  }),
  state: v.picklist(["launching", "up", "stopped", "ending"]),
  nodes: v.array(nodeSchema),
  /** Numbers of the nodes that hold the queue; none where there is one node. */
  seats: v.array(v.number()),
  /** On which the seats listen: for nodes, and for each other. */
  ports: v.nullable(v.object({ client: v.number(), cluster: v.number() })),
  /** Another client began it: that one has its keys, and says what its nodes are. */
  joined: v.optional(v.boolean()),
  /** When its autostop was said, by whichever client; see `autostop`. */
  autostopSaidAtMs: v.optional(v.number()),
  createdAtMs: v.number(),
  /** When it last came to be in its state. */
  sinceMs: v.number(),
});
export type ClusterRecord = v.InferOutput<typeof recordSchema>;

const newestSchema = 1;
const maxFileBytes = 8 * 2 ** 20;
/** For changes of a few milliseconds. */
const lockWithinMs = 10_000;

export class Registry {
  readonly #home: string;
  readonly #folder: string;

  /** `home` is `FARCALL_HOME`. */
  constructor(home: string) {
    this.#home = home;
    this.#folder = recordsFolder(home);
  }

  /** Names of the clusters, in alphabetical order. */
  names(): string[] {
    return registeredNames(this.#home);
  }

  /** Undefined when there is no cluster of this name. Throws `registry.corrupt`. */
  get(name: string): ClusterRecord | undefined {
    const file = this.#file(checkName("cluster", name));
    let text: string;
    try {
      if (statSync(file).size > maxFileBytes) throw corrupt(file, "it is far too large");
      text = readFileSync(file, "utf8");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      if (cause instanceof FarcallError) throw cause;
      throw new FarcallError(
        "home.unusable",
        `The record of the cluster ${name} cannot be read: ${messageOf(cause)}.`,
        { cause },
      );
    }
    return parse(file, text);
  }

  /** Throws `cluster.unknown`. */
  need(name: string): ClusterRecord {
    const record = this.get(name);
    if (record) return record;
    const names = ["local", ...this.names()].join(", ");
    throw new FarcallError("cluster.unknown", `There is no cluster ${JSON.stringify(name)}.`, {
      hint: `There are ${names}. \`farcall up ${name} --host user@address\` makes one.`,
    });
  }

  /** Changes a record, or makes one of nothing, or with undefined removes it; what others changed meanwhile is seen. */
  async change(
    name: string,
    change: (before: ClusterRecord | undefined) => ClusterRecord | undefined,
  ): Promise<ClusterRecord | undefined> {
    this.#ensureFolder();
    using lock = await FileLock.wait(join(this.#folder, `${name}.lock`), lockWithinMs);
    if (!lock) throw busy(name);
    const after = change(this.get(name));
    if (after) write(this.#file(name), after);
    else rmSync(this.#file(name), { force: true });
    return after;
  }

  /** Removes a record, and the keys of its cluster. */
  async forget(name: string): Promise<void> {
    await this.change(name, () => undefined);
    rmSync(this.keysFile(name), { force: true });
  }

  /** Where the keys of a cluster are that was begun from here. */
  keysFile(name: string): string {
    return join(this.#folder, `${name}.keys`);
  }

  /**
   * Does what changes a cluster as a whole while nobody else does. Whoever comes second waits, and is told so;
   * rejects with `cluster.busy` when that takes longer than `withinMs`.
   */
  async whole<T>(
    name: string,
    act: () => Promise<T>,
    options: { withinMs: number; signal?: AbortSignal | undefined; onWait?: (() => void) | undefined },
  ): Promise<T> {
    this.#ensureFolder();
    const file = join(this.#folder, `${name}.up.lock`);
    let lock = FileLock.acquire(file);
    if (!lock) {
      options.onWait?.();
      lock = await FileLock.wait(file, options.withinMs, options.signal);
    }
    if (!lock) throw busy(name);
    try {
      return await act();
    } finally {
      lock[Symbol.dispose]();
    }
  }

  #ensureFolder(): void {
    ensurePrivateFolder(join(this.#folder, ".."));
    ensurePrivateFolder(this.#folder);
  }

  #file(name: string): string {
    return join(this.#folder, `${name}.json`);
  }
}

export function newClusterId(): string {
  return randomBytes(6).toString("hex");
}

function parse(file: string, text: string): ClusterRecord {
  let stored: { checksum?: unknown; record?: { schema?: unknown } };
  try {
    stored = JSON.parse(text) as typeof stored;
  } catch {
    throw corrupt(file, "it is not JSON");
  }
  if (stored?.checksum !== checksum(stored?.record)) throw corrupt(file, "its checksum is wrong");
  if (typeof stored.record?.schema === "number" && stored.record.schema > newestSchema) {
    throw new FarcallError("agent.version", `The record ${file} is of a newer Farcall.`, { hint: "Use that version." });
  }
  const parsed = v.safeParse(recordSchema, stored.record);
  if (!parsed.success) throw corrupt(file, v.flatten(parsed.issues).root?.[0] ?? "it is not as expected");
  return parsed.output;
}

function write(file: string, record: ClusterRecord): void {
  writeDurably(file, `${JSON.stringify({ checksum: checksum(record), record }, undefined, 2)}\n`);
}

function checksum(record: unknown): string {
  return createHash("sha256")
    .update(JSON.stringify(record) ?? "")
    .digest("hex")
    .slice(0, 32);
}

function corrupt(file: string, why: string): FarcallError {
  return new FarcallError("registry.corrupt", `The record ${file} is damaged: ${why}.`, {
    hint: "Move it away, then `farcall up NAME` with the same hosts finds the cluster again.",
  });
}

function busy(name: string): FarcallError {
  return new FarcallError("cluster.busy", `The cluster ${name} is being changed by somebody else.`, {
    hint: "Wait until that is over; `farcall status` shows how far it is.",
    retryable: true,
  });
}
