import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Connections } from "../../runtime/cluster/connections.ts";

/** A host that takes connections and never speaks. */
let server: Server;
let folder: string;
let host: string;
const sockets = new Set<Socket>();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farcall-test-"));
  await writeFile(join(folder, "config"), "");
  process.env["FARCALL_SSH_CONFIG"] = join(folder, "config");
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `me@127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  delete process.env["FARCALL_SSH_CONFIG"];
  for (const socket of sockets) socket.destroy();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

it("ends the wait of one who no longer wants it, whoever else goes on waiting", async () => {
  await using connections = new Connections(folder, undefined);
  const beganAtMs = performance.now();
  await expect(connections.to(host, AbortSignal.timeout(100))).rejects.toMatchObject({ name: "TimeoutError" });
  const others = connections.to(host);
  others.catch(() => undefined);
  await expect(connections.to(host, AbortSignal.timeout(100))).rejects.toMatchObject({ name: "TimeoutError" });
  expect(performance.now() - beganAtMs).toBeLessThan(3_000);
  expect(await Promise.race([others.then(String, String), Promise.resolve("waits")])).toBe("waits");
});

it("does not wait, when it is closed, for those that are still logging in", async () => {
  const connections = new Connections(folder, undefined);
  const logging = connections.to(host);
  const ended = expect(logging).rejects.toMatchObject({ code: "connection.lost" });
  await expect.poll(() => sockets.size).toBe(1);
  const beganAtMs = performance.now();
  await connections.close();
  expect(performance.now() - beganAtMs).toBeLessThan(3_000);
  await ended;
  await expect.poll(() => sockets.size).toBe(0);
});
