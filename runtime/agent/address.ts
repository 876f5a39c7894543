import { chmodSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import { agentPaths } from "../transport/agentPaths.ts";

/** Where an agent is found: a socket that only its owner can open, and files beside it that say so. */

/** Listens in a folder, whose lock must be held; returns what takes the socket away. */
export async function listenIn(folder: string, server: Server): Promise<() => void> {
  const { socket, isPipe } = agentPaths(folder);
  // Whoever made this socket is dead: we hold the lock.
  if (!isPipe) rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, resolve);
  });
  if (isPipe) return () => undefined;
  chmodSync(socket, 0o600);
  return () => rmSync(socket, { force: true });
}

/** Says in a file where it listens, for those who come over SSH and cannot work that out. */
export function announceIn(folder: string, { token, build }: { token: string; build: string }): void {
  const file = join(folder, "agent.address");
  const address = { token, socket: agentPaths(folder).socket, build };
  writeFileSync(`${file}.tmp`, JSON.stringify(address), { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
  writeFileSync(join(folder, "agent.pid"), String(process.pid), { mode: 0o600 });
}
