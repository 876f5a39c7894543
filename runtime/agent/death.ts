import { closeSync, openSync, readFileSync, readSync, fstatSync } from "node:fs";
import { decodeError } from "../protocol/codec.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import type { DeathNote } from "../worker/journal.ts";

/** Why a worker process ended, put together from how it exited and what it could still write down. */
export interface Death {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** Set when the agent itself ended the worker. */
  killedFor: KillReason | undefined;
  note: DeathNote | undefined;
  journal: JournalEntry;
  outOfMemory: boolean;
}

export type KillReason = "timeout" | "memory" | "cancelled" | "stopped";

export interface JournalEntry {
  writtenAtMs: number;
  /** Whether the lists are known to be complete. */
  exact: boolean;
  /** Inputs being worked on, by slice; a slice that has not begun is not listed. */
  slices: Map<string, number[]>;
}

export function readJournal(file: string): JournalEntry & { note: DeathNote | undefined } {
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch {
    // A worker that died before it wrote anything leaves no journal.
  }
  const [line = "", noteLine = ""] = text.split("\n");
  const [time = "0", exact = "0", lists = ""] = line.split(" ");
  const slices = new Map<string, number[]>();
  for (const list of lists === "" ? [] : lists.split(";")) {
    const [token = "", indexes = ""] = list.split("=");
    slices.set(token, indexes === "" ? [] : indexes.split(",").map(Number));
  }
  return { writtenAtMs: Number(time), exact: exact === "1", slices, note: parseNote(noteLine) };
}

function parseNote(line: string): DeathNote | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as DeathNote;
  } catch {
    return undefined;
  }
}

/** The last bytes of a file, as text. */
export function tailOf(file: string, bytes: number): string {
  try {
    const descriptor = openSync(file, "r");
    try {
      const { size } = fstatSync(descriptor);
      const buffer = Buffer.alloc(Math.min(size, bytes));
      readSync(descriptor, buffer, 0, buffer.byteLength, Math.max(0, size - bytes));
      return buffer.toString("utf8");
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return "";
  }
}

/** Puts a death into words, as the error of the input or call that it ended. */
export function describeDeath(death: Death, deaths: number): FarcallError {
  const times = deaths > 1 ? ` This happened ${deaths} times with this input.` : "";
  if (death.killedFor === "timeout") {
    return new FarcallError(
      "item.timeout",
      `The function did not finish in time and did not react; its worker was ended.${times}`,
    );
  }
  if (death.killedFor === "cancelled") return new FarcallError("run.cancelled", "The call was cancelled.");
  if (death.killedFor === "stopped") return new FarcallError("worker.killed", "The agent was stopped during the call.");
  if (death.outOfMemory || death.killedFor === "memory") {
    return new FarcallError("worker.out-of-memory", `The worker ran out of memory.${times}`, {
      hint: "Give each replica more with compute.memoryMiB in the env, or have fewer replicas or a lower concurrency.",
    });
  }
  if (death.note?.kind === "exit") {
    return new FarcallError(
      "worker.exited",
      `The function ended its process with process.exit(${death.exitCode ?? ""}).${times}`,
      {
        hint: "Return or throw instead of calling process.exit.",
      },
    );
  }
  if (death.note) {
    const cause = death.note.error === undefined ? undefined : decodeError(Buffer.from(death.note.error, "base64"));
    const what =
      death.note.kind === "uncaught"
        ? "An error was thrown outside of any call"
        : "A promise was rejected and nobody handled it";
    return new FarcallError("worker.crashed", `${what}: ${messageOf(cause)}.${times}`, { cause });
  }
  const how = death.signal ? `by ${death.signal}` : `with exit code ${death.exitCode}`;
  return new FarcallError("worker.killed", `The worker process was ended ${how}.${times}`, {
    hint:
      death.signal === "SIGKILL"
        ? "The system ends processes this way when memory runs out."
        : "Native code may have crashed.",
  });
}
