import type { Duplex } from "node:stream";
import type { Client } from "ssh2";
import { messageOf } from "../../spec/errors.ts";

const everyMs = 4_000;
/** So many unanswered in a row mean that the link is dead; counted, as this process may have slept in between. */
const missedAtMost = 3;

/** ssh2's own way to ask keeps the process alive. This asks to end a forwarding that there is not: every server answers. */
function ask(client: Client, answered: () => void): void {
  client.unforwardIn("127.0.0.1", 1, answered);
}

/** Resolves when the other side has gone through all that it was sent so far, or is gone. */
export async function caughtUp(client: Client, closed: Promise<unknown>): Promise<void> {
  const answered = new Promise<void>((resolve) => {
    try {
      ask(client, resolve);
    } catch {
      resolve();
    }
  });
  await Promise.race([answered, closed]);
}

/** Notices when the other side is silent, and fails the client. */
export function watch(client: Client, stream: Duplex, closed: Promise<unknown>): void {
  let unanswered = 0;
  const hear = () => (unanswered = 0);
  // Anything counts: an answer can be long behind an upload over a slow link.
  stream.on("data", hear);
  const timer = setInterval(() => {
    if (unanswered++ >= missedAtMost) return fail("it does not answer any more");
    try {
      ask(client, hear);
    } catch (error) {
      fail(messageOf(error));
    }
  }, everyMs);
  const fail = (why: string) => {
    clearInterval(timer);
    client.emit("error", new Error(why));
  };
  timer.unref();
  void closed.then(() => clearInterval(timer));
}
