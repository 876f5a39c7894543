import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { execute, executed, hasEnded } from "./namespaces.ts";

/**
 * Removes a lab's bridge and folder, and with its mount namespace the machines' disks, once its standard input ends:
 * that comes however this process dies. Machines hear of it from the kernel.
 */
const script = `
cat > /dev/null
ip link del "$1"
umount -l "$2"/disks/* 2> /dev/null
rm -rf --one-file-system "$2"
`;

/** What stands behind the machines of a lab: a bridge, a mount namespace, and a process that cleans up. */
export class Keeper {
  /** As it is seen here and on the machines: `10.x.y`. */
  readonly subnet: string;
  readonly bridge: string;
  readonly #process: ChildProcess;

  private constructor(subnet: string, bridge: string, process: ChildProcess) {
    this.subnet = subnet;
    this.bridge = bridge;
    this.#process = process;
  }

  static async start(folder: string): Promise<Keeper> {
    const { subnet, bridge } = await makeBridge();
    const child = spawn(
      "unshare",
      ["--mount", "--propagation", "private", "sh", "-c", `echo ready; ${script}`, "sh", bridge, folder],
      // A session of its own: Ctrl-C ends the tests, and this cleans up behind them.
      { detached: true, stdio: ["pipe", "pipe", "ignore"] },
    );
    await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    if (hasEnded(child)) {
      await execute(["ip", "link", "del", bridge]);
      throw new Error("The keeper of the lab could not be started.");
    }
    return new Keeper(subnet, bridge, child);
  }

  /** Words before a command that has to see the disks of the machines. */
  get inside(): [string, ...string[]] {
    return ["nsenter", `--mount=/proc/${this.#process.pid}/ns/mnt`];
  }

  async stop(): Promise<void> {
    this.#process.stdin?.end();
    if (!hasEnded(this.#process)) await once(this.#process, "exit");
  }
}

/** The name of the bridge says its subnet, so that two labs cannot take the same one. */
async function makeBridge(): Promise<{ subnet: string; bridge: string }> {
  const taken = await executed(["ip", "-o", "-4", "addr"]);
  for (let tries = 0; tries < 64; tries++) {
    const at = (process.pid * 61 + tries) % (64 * 256);
    const [second, third] = [64 + (at >> 8), at & 255];
    const subnet = `10.${second}.${third}`;
    const bridge = `fcl${second}-${third}`;
    if (taken.includes(` ${subnet}.`)) continue;
    if ((await execute(["ip", "link", "add", bridge, "type", "bridge"])).status !== 0) continue;
    await executed(["ip", "addr", "add", `${subnet}.1/24`, "dev", bridge]);
    await executed(["ip", "link", "set", bridge, "up"]);
    return { subnet, bridge };
  }
  throw new Error("There is no subnet left for simulated machines.");
}
