import { createServer } from "node:net";
import { Reach } from "../spec/reach.ts";
import { waitWithin } from "../spec/waitWithin.ts";
import type { SetupRequest, SetupTarget } from "./messages.ts";

/**
 * Finds out which of the other nodes this one gets through to, before there is anything on them: all do this at the
 * same time, and listen where a seat would. Returns those that did not answer. It ends as soon as everybody got through
 * to everybody, and otherwise when the time is up.
 */
export async function survey({ listen, dial, withinMs }: NonNullable<SetupRequest["survey"]>): Promise<SetupTarget[]> {
  const listeners = listen.map(listenFor);
  const reach = new Reach(dial);
  await waitWithin(withinMs, Promise.all([reach.all, ...listeners.map(({ heard }) => heard)]));
  reach.end();
  await Promise.all(listeners.map(({ close }) => close()));
  return reach.missing;
}

/** `heard` resolves when so many have connected. A port that is taken is a seat's that is up, and need not be listened on. */
function listenFor({ port, callers }: { port: number; callers: number }) {
  const { promise: heard, resolve } = Promise.withResolvers<void>();
  let missing = callers;
  const server = createServer((socket) => {
    socket.on("error", () => undefined).destroy();
    if (--missing <= 0) resolve();
  });
  if (missing === 0) resolve();
  server.on("error", () => resolve());
  server.listen(port, "0.0.0.0");
  const close = () => new Promise<void>((done) => server.close(() => done()));
  return { heard, close };
}
