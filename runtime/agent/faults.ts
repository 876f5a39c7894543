import { messageOf } from "../spec/errors.ts";

/** Writes a fault that nobody waits for to the agent's log, which is its standard error. */
export function logFault(error: unknown): void {
  const what = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  process.stderr.write(`${new Date().toISOString()} ${what}\n`);
}
