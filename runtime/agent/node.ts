import { readFileSync } from "node:fs";
import { availableParallelism, hostname, totalmem } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { type NodeFile, nodeFileSchema } from "../spec/nodeFile.ts";

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

/** After how long without work this node is to end, as whoever sets it up says; undefined for the local agent. */
export function readIdleMs(folder: string): number | undefined {
  const text = readText(join(folder, "autostop"));
  const idleMs = Number(text);
  return text !== undefined && text !== "" && Number.isFinite(idleMs) ? idleMs : undefined;
}

/** The build that is started here next; undefined for the local agent. */
export function readNextBuild(folder: string): string | undefined {
  return readText(join(folder, "build"));
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}

export interface NodeFacts {
  name: string;
  platform: string;
  cpus: number;
  memoryMiB: number;
  gpus: number;
}

/** What the machine has. */
export function nodeFacts(gpus: number): NodeFacts {
  return {
    name: hostname(),
    platform: `${process.platform} ${process.arch}`,
    cpus: availableParallelism(),
    memoryMiB: Math.floor(totalmem() / 2 ** 20),
    gpus,
  };
}
