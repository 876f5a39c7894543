import type { Client } from "ssh2";
import { waitWithin } from "../../spec/waitWithin.ts";

const answeredWithinMs = 5_000;

/**
 * Asks something that every server answers: to end a forwarding that there is not. ssh2's own way to do that keeps the
 * process alive. Throws where the connection is over.
 */
export function ask(client: Client, answered: () => void): void {
  client.unforwardIn("127.0.0.1", 1, answered);
}

/** Resolves when the other side has gone through all that it was sent so far, is gone, or does not answer this. */
export async function caughtUp(client: Client, closed: Promise<unknown>): Promise<void> {
  const answered = new Promise<void>((resolve) => {
    try {
      ask(client, resolve);
    } catch {
      resolve();
    }
  });
  await waitWithin(answeredWithinMs, Promise.race([answered, closed]));
}
