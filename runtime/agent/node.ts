import { readFileSync } from "node:fs";
import { cpus, hostname, totalmem } from "node:os";
import { join } from "node:path";
import { execFile } from "node:child_process";
import * as v from "valibot";
import { FarcallError, messageOf } from "../spec/errors.ts";

/** What this node is: its place in its cluster, as whoever set it up wrote it down, and what it has to work with. */
const nodeFileSchema = v.object({
  number: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** Of a cluster of several nodes: where its queue is. Certificates and keys lie in the folder `broker` beside this. */
  broker: v.optional(
    v.object({
      /** `tls://host:port` of every seat, as this node reaches it. */
      servers: v.pipe(v.array(v.string()), v.minLength(1)),
      replicas: v.picklist([1, 3]),
    }),
  ),
});
export type NodeFile = v.InferOutput<typeof nodeFileSchema>;

/** Undefined for the agent of the local cluster. Throws `spec.invalid` for a file that is there and not as it should be. */
export function readNodeFile(folder: string): NodeFile | undefined {
  const file = join(folder, "node.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new FarcallError("spec.invalid", `${file} cannot be read: ${messageOf(cause)}.`, { cause });
  }
  try {
    return v.parse(nodeFileSchema, JSON.parse(text));
  } catch (cause) {
    throw new FarcallError("spec.invalid", `${file} is not as it should be: ${messageOf(cause)}.`, {
      cause,
      hint: "`farcall up` writes it anew.",
    });
  }
}

export interface NodeFacts {
  name: string;
  platform: string;
  cpus: number;
  memoryMiB: number;
  gpus: number;
}

/** What the machine has. Its GPUs are counted meanwhile: asking for them may take seconds. */
export function nodeFacts(): NodeFacts {
  const facts: NodeFacts = {
    name: hostname(),
    platform: `${process.platform} ${process.arch}`,
    cpus: Math.max(1, cpus().length),
    memoryMiB: Math.floor(totalmem() / 2 ** 20),
    gpus: 0,
  };
  // NVIDIA's own tool lists them, one a line; where it is not there, there are none that CUDA could use.
  execFile("nvidia-smi", ["-L"], { timeout: 10_000 }, (error, stdout) => {
    if (!error) facts.gpus = stdout.split("\n").filter((line) => line.startsWith("GPU ")).length;
  });
  return facts;
}
