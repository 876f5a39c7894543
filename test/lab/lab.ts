import { existsSync, globSync, readFileSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Keeper } from "./keeper.ts";
import { Machine } from "./machine.ts";
import type { MachineOptions } from "./machineOptions.ts";
import { executed } from "./namespaces.ts";
import { ensureLabTools } from "./tools.ts";

/**
 * Simulated machines that one can log in to by SSH, connected with each other and with this process. Each is a set of
 * Linux namespaces with an overlay over this computer's file system, and boots in a fraction of a second. Needs root.
 *
 * Whatever a lab makes is gone when it is disposed of, which fails if something is left, and also when this process
 * dies.
 */
export class Lab implements AsyncDisposable {
  /** This process as machines see it. */
  readonly address: string;
  /** The private key that every machine lets in. */
  readonly privateKeyFile: string;
  /** The machines' host keys, each under its address. */
  readonly knownHostsFile: string;
  /** An ssh configuration with a `Host` for each machine, by name. */
  readonly sshConfigFile: string;
  /** For files of the tests; removed with the lab. */
  readonly folder: string;
  readonly #keeper: Keeper;
  readonly #machines: Machine[] = [];

  private constructor(folder: string, keeper: Keeper) {
    this.folder = folder;
    this.#keeper = keeper;
    this.address = `${keeper.subnet}.1`;
    this.privateKeyFile = join(folder, "id_ed25519");
    this.knownHostsFile = join(folder, "known_hosts");
    this.sshConfigFile = join(folder, "ssh_config");
  }

  static async start(): Promise<Lab> {
    await ensureLabTools();
    const folder = await mkdtemp(join(tmpdir(), "farcall-lab-"));
    await mkdir(join(folder, "disks"));
    const lab = new Lab(folder, await Keeper.start(folder));
    await executed(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", lab.privateKeyFile]);
    return lab;
  }

  /** Boots a machine and waits until its sshd answers. */
  async machine(options: MachineOptions = {}): Promise<Machine> {
    const number = this.#machines.length + 1;
    const machine = new Machine(
      {
        number,
        address: `${this.#keeper.subnet}.${number + 10}`,
        gateway: this.address,
        bridge: this.#keeper.bridge,
        inside: this.#keeper.inside,
        folder: this.folder,
        privateKeyFile: this.privateKeyFile,
      },
      options,
    );
    this.#machines.push(machine);
    await machine.prepare();
    await appendFile(this.knownHostsFile, `${machine.knownHostsLine}\n`);
    await appendFile(this.sshConfigFile, `${this.#configOf(machine)}\n`);
    await machine.boot();
    return machine;
  }

  /** The same for several machines at once, named `m1`, `m2` and so on where `name` does not say otherwise. */
  machines(count: number, options: MachineOptions = {}): Promise<Machine[]> {
    return Promise.all(Array.from({ length: count }, () => this.machine(options)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#machines.map((machine) => machine.kill()));
    await this.#keeper.stop();
    const left = this.leftovers();
    await rm(this.folder, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`The lab left behind:\n${left.join("\n")}`);
  }

  /** What is there of this lab on this computer: links, mounts, processes, its folder. */
  leftovers(): string[] {
    const links = globSync(`/sys/class/net/${this.#keeper.bridge}*`);
    const mounts = readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .filter((line) => line.includes(this.folder));
    const processes = globSync("/proc/[0-9]*/mountinfo").flatMap((file) => {
      try {
        return readFileSync(file, "utf8").includes(this.folder)
          ? [`${file}: ${readFileSync(join(file, "../cmdline"), "utf8").replaceAll("\0", " ")}`]
          : [];
      } catch {
        return [];
      }
    });
    return [...links, ...mounts, ...processes, ...(existsSync(this.folder) ? [this.folder] : [])];
  }

  #configOf({ name, address, user }: Machine): string {
    return [
      `Host ${name}`,
      `  HostName ${address}`,
      `  User ${user}`,
      `  IdentityFile ${this.privateKeyFile}`,
      "  IdentitiesOnly yes",
      `  UserKnownHostsFile ${this.knownHostsFile}`,
    ].join("\n");
  }
}
