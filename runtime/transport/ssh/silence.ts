import type { Duplex } from "node:stream";
import type { Client } from "ssh2";
import { messageOf } from "../../spec/errors.ts";

const everyMs = 4_000;
/** So many unanswered in a row mean that the link is dead; counted, as this process may have slept in between. */
const missedAtMost = 3;

/**
 * Notices when the other side is silent, and fails the client. ssh2's own way of doing that keeps the process alive;
 * what is asked here instead is to end a forwarding that there is not, which every server answers.
 */
export function watch(client: Client, stream: Duplex, closed: Promise<unknown>): void {
  let unanswered = 0;
  const hear = () => (unanswered = 0);
  // Anything counts: an answer can be long behind an upload over a slow link.
  stream.on("data", hear);
  const timer = setInterval(() => {
    if (unanswered++ >= missedAtMost) return fail("it does not answer any more");
    try {
      client.unforwardIn("127.0.0.1", 1, hear);
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
