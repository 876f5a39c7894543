import { randomBytes } from "node:crypto";
import { FarcallError } from "./errors.ts";

const namePattern = /^[a-z][a-z0-9-]{0,40}$/;
const variablePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;
const runIdPattern = /^[a-z0-9]{6,12}-[a-z0-9]{4,14}$/;

export type RunId = string;

/** Cluster and env names travel into file names and host names, so they are kept to what is safe in all of them. */
export function checkName(kind: "cluster" | "env", name: string): string {
  if (namePattern.test(name)) return name;
  throw new FarcallError("name.invalid", `The ${kind} name ${JSON.stringify(name)} is not allowed.`, {
    hint: "Use a lower-case letter, then up to 40 lower-case letters, digits and hyphens.",
  });
}

export function checkVariableName(name: string): string {
  if (variablePattern.test(name)) return name;
  throw new FarcallError("name.invalid", `The variable name ${JSON.stringify(name)} is not allowed.`, {
    hint: "Use letters, digits and underscores, not starting with a digit.",
  });
}

export function isRunId(text: string): boolean {
  return runIdPattern.test(text);
}

/** Tells the ids of this process from those of all others. */
const processPart = randomBytes(4).readUInt32LE().toString(36).padStart(7, "0");
let made = 0;

/** A new run id. Ids sort by the time they were made. */
export function newRunId(nowMs: number = Date.now()): RunId {
  made = (made + 1) % 36 ** 4;
  return `${nowMs.toString(36).padStart(9, "0")}-${made.toString(36).padStart(4, "0")}${processPart}`;
}
