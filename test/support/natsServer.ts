/** Real servers for tests of the distributed queue. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterAll } from "vitest";
import { natsServerProgram } from "./natsProgram.ts";
import { fastFolder } from "./queueFixture.ts";

/** Ports that nobody listened on a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

export interface SharedBroker {
  servers: string[];
  /** Empties the server, unless it was used with this folder last. */
  use(dir: string): Promise<void>;
}

/** One server for a file of tests. */
export async function sharedBroker(): Promise<SharedBroker> {
  const program = await natsServerProgram();
  const [port] = await freePorts(1);
  const folder = mkdtempSync(join(fastFolder(), "farcall-nats-"));
  const config = join(folder, "nats.conf");
  writeFileSync(config, `listen: "127.0.0.1:${port}"\njetstream { store_dir: ${JSON.stringify(folder)} }\n`);
  const child: ChildProcess = spawn(program, ["-c", config], { stdio: "ignore" });
  const servers = [`nats://127.0.0.1:${port}`];
  afterAll(async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    rmSync(folder, { recursive: true, force: true });
  });
  await answering(servers);
  let used: string | undefined;
  const use = async (dir: string): Promise<void> => {
    if (dir === used) return;
    used = dir;
    await using nats = await connect({ servers });
    const { streams } = await jetstreamManager(nats);
    for await (const { config } of streams.list()) await streams.delete(config.name);
  };
  return { servers, use };
}

/** Waits until JetStream answers. */
export async function answering(servers: string[]): Promise<void> {
  for (;;) {
    try {
      await using nats = await connect({ servers, reconnect: false, timeout: 500 });
      await jetstreamManager(nats, { timeout: 500 });
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
