import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  childrenOf,
  type CommandOptions,
  type CommandResult,
  execute,
  executed,
  hasEnded,
  type MachineProcess,
  processesBeside,
} from "./namespaces.ts";
import { bootVariables, homeOf, type MachineOptions, password, settle, sshdConfig } from "./machineOptions.ts";

/** Where a machine stands. */
export interface MachinePlace {
  number: number;
  address: string;
  gateway: string;
  bridge: string;
  inside: readonly [string, ...string[]];
  folder: string;
  privateKeyFile: string;
}

const bootTimeoutMs = 20_000;
const exitTimeoutMs = 20_000;
const fillTries = 20;
/** More to leave with each try to fill a disk that somebody writes to. */
const aheadBytes = 256 * 1024;
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const here = import.meta.dirname;
/** One simulated machine of a lab. Its disk is there until the lab is disposed of, whatever becomes of the machine. */
export class Machine {
  readonly name: string;
  readonly address: string;
  readonly port = 22;
  readonly user: string;
  /** The user's, for tests that log in with it: `sshd: ["PasswordAuthentication yes"]`. */
  readonly password = password;
  /** The user's home on the machine, empty at first. */
  readonly home: string;
  readonly privateKeyFile: string;
  /** A line for a known_hosts file. */
  knownHostsLine = "";
  /** The host's public key, in base64 of SSH's wire format. */
  hostKey = "";
  readonly #place: MachinePlace;
  readonly #options: Required<MachineOptions>;
  readonly #files: string;
  readonly #disk: string;
  #process: ChildProcess | undefined;
  #initPid = 0;
  #boots = 0;
  #link = "";

  constructor(place: MachinePlace, options: MachineOptions) {
    this.#place = place;
    this.#options = settle(options, place.number);
    this.name = this.#options.name;
    this.address = place.address;
    this.user = this.#options.user;
    this.home = homeOf(this.user);
    this.privateKeyFile = place.privateKeyFile;
    this.#files = join(place.folder, "files", this.name);
    this.#disk = join(place.folder, "disks", this.name);
  }

  /** Makes its disk and what stands in /etc/lab on it. Once, by the lab. */
  async prepare(): Promise<void> {
    await mkdir(this.#files, { recursive: true });
    await mkdir(this.#disk);
    await executed([
      ...this.#place.inside,
      "mount",
      "-t",
      "tmpfs",
      "-o",
      `size=${this.#options.diskMiB}m`,
      "lab",
      this.#disk,
    ]);
    await copyFile(join(here, "init.sh"), join(this.#files, "init"));
    await copyFile(join(here, "node20.sh"), join(this.#files, "node20"));
    await chmod(join(this.#files, "node20"), 0o755);
    await copyFile(join(here, "node20.cjs"), join(this.#files, "node20.cjs"));
    await copyFile(`${this.privateKeyFile}.pub`, join(this.#files, `keys_${this.user}`));
    await this.#makeHostKeys();
    await writeFile(join(this.#files, "sshd_config"), sshdConfig(this.#options));
  }

  /** Starts it, on the disk that it had. Resolves when its sshd answers. */
  async boot(): Promise<void> {
    if (this.isUp) throw new Error(`${this.name} is up.`);
    const { number, address, bridge, gateway, inside } = this.#place;
    this.#link = `${bridge.replace("fcl", "fcv")}-${number}${letters[this.#boots++ % letters.length]}`;
    const child = spawn(
      "setpriv",
      ["--pdeathsig", "KILL", ...inside, "unshare", "--mount", "--net", "bash", join(here, "boot.sh"), "network"],
      {
        stdio: ["ignore", "ignore", "pipe"],
        env: {
          PATH: path,
          ...bootVariables(this.#options),
          LAB_CLIENT_PID: String(process.pid),
          LAB_LINK: this.#link,
          LAB_BRIDGE: bridge,
          LAB_MAC: `02:fc:00:00:00:${number.toString(16).padStart(2, "0")}`,
          LAB_ADDRESS: address,
          LAB_GATEWAY: gateway,
          LAB_DISK: this.#disk,
          LAB_FILES: this.#files,
        },
      },
    );
    this.#process = child;
    this.#initPid = 0;
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const deadlineMs = Date.now() + bootTimeoutMs;
    while (!(await answersSsh(address))) {
      if (hasEnded(child)) throw new Error(`${this.name} did not boot: ${said}`);
      if (Date.now() > deadlineMs) throw new Error(`${this.name} did not answer in ${bootTimeoutMs} ms: ${said}`);
      await sleep(20);
    }
    this.#initPid = childrenOf(child.pid!)[0]!;
  }

  get isUp(): boolean {
    return this.#process !== undefined && !hasEnded(this.#process);
  }

  /** Every process ends at once, and the system says so to whoever is connected. */
  async kill(): Promise<void> {
    if (!this.isUp) return;
    // Its first process, so that whoever waits for that takes it in: not every computer's own does so at once.
    if (this.#initPid > 0) process.kill(this.#initPid, "SIGKILL");
    else this.#process!.kill("SIGKILL");
    await this.#gone();
  }

  /** As if unplugged: nobody hears of it. */
  async powerOff(): Promise<void> {
    await this.partition();
    await this.kill();
  }

  /** An orderly stop: processes are asked to end and have five seconds. */
  async shutDown(): Promise<void> {
    if (!this.isUp) return;
    process.kill(this.#initPid, "SIGTERM");
    await this.#gone();
  }

  /** Cuts it off from everything, until `heal`. */
  async partition(): Promise<void> {
    await executed(["ip", "link", "set", this.#link, "down"]);
  }

  async heal(): Promise<void> {
    await executed(["ip", "link", "set", this.#link, "up"]);
  }

  /** What it sends to this address is lost, until `allow`. What comes from there arrives. */
  async block(address: string): Promise<void> {
    await this.#inNetwork("ip", "route", "add", "blackhole", `${address}/32`);
  }

  async allow(address: string): Promise<void> {
    await this.#inNetwork("ip", "route", "del", "blackhole", `${address}/32`);
  }

  /**
   * Runs a command of `sh` on it, past sshd and as root unless `as` says otherwise. Like sshd it waits for whatever
   * has the command's output.
   */
  run(command: string, { as = "root", ...options }: CommandOptions & { as?: string } = {}): Promise<CommandResult> {
    const namespaces = ["--target", String(this.#initPid), "--all", "--root", "--wd"];
    const user = as === "root" ? [] : ["setpriv", `--reuid=${as}`, `--regid=${as}`, "--clear-groups"];
    const environment = ["env", "-i", `HOME=${homeOf(as)}`, `USER=${as}`, `PATH=${path}`];
    return execute(["nsenter", ...namespaces, ...user, ...environment, "sh", "-c", command], options);
  }

  /** The same, and rejects unless its status is 0. Returns what it printed. */
  async do(command: string, options?: CommandOptions & { as?: string }): Promise<string> {
    const { status, stdout, stderr } = await this.run(command, options);
    if (status !== 0) throw new Error(`\`${command}\` on ${this.name} failed with ${status}: ${stderr || stdout}`);
    return stdout;
  }

  /** What runs on it, `run` and the machine's first process among it. */
  processes(): MachineProcess[] {
    return this.isUp ? processesBeside(this.#initPid) : [];
  }

  /** Sends a signal to all processes whose command line matches, and returns how many there are. */
  signal(matching: RegExp, signal: NodeJS.Signals): number {
    const found = this.processes().filter(({ pid, command }) => pid !== 1 && matching.test(command));
    for (const { hostPid } of found) process.kill(hostPid, signal);
    return found.length;
  }

  freeze(matching: RegExp): number {
    return this.signal(matching, "SIGSTOP");
  }

  thaw(matching: RegExp): number {
    return this.signal(matching, "SIGCONT");
  }

  /** Leaves so many bytes on its disk, which is full at 0. */
  async fillDisk(leaveBytes = 0): Promise<void> {
    const df = ["df", "--block-size=1", "--output=used", this.#disk] as const;
    for (let tries = 1; ; tries++) {
      const used = Number((await executed([...this.#place.inside, ...df])).split("\n")[1]);
      try {
        return await this.#resize(`${used + leaveBytes + (tries - 1) * aheadBytes}`);
      } catch (error) {
        // Somebody who writes meanwhile makes it too small for what it holds; he fills what he is left.
        if (tries >= fillTries) throw error;
      }
    }
  }

  async freeDisk(): Promise<void> {
    await this.#resize(`${this.#options.diskMiB}m`);
  }

  /** What its sshd wrote since it was made. */
  sshdLog(): Promise<string> {
    return this.do("cat /var/log/sshd.log");
  }

  /** Gives it other host keys, as a machine that was set up anew has. Takes effect at the next boot. */
  async changeHostKeys(): Promise<void> {
    await this.#makeHostKeys();
  }

  /** Host keys go through a folder aside, as ssh-keygen asks before it writes over one. */
  async #makeHostKeys(): Promise<void> {
    const types = this.#options.hostKeyTypes;
    for (const type of types) {
      const aside = join(this.#place.folder, `host_${this.name}_${type}`);
      await executed(["ssh-keygen", "-q", "-t", type, "-N", "", "-C", this.name, "-f", aside]);
      await rename(aside, join(this.#files, `host_${type}`));
      const publicKey = await readFile(`${aside}.pub`, "utf8");
      await rm(`${aside}.pub`);
      if (type !== types[0]) continue;
      const [keyType, base64] = publicKey.split(" ");
      this.hostKey = base64!;
      this.knownHostsLine = `${this.address} ${keyType} ${base64}`;
    }
  }

  async #gone(): Promise<void> {
    const child = this.#process!;
    if (!hasEnded(child)) await once(child, "exit", { signal: AbortSignal.timeout(exitTimeoutMs) });
    // The kernel takes it down some time after the machine.
    await execute(["ip", "link", "del", this.#link]);
  }

  async #inNetwork(...command: [string, ...string[]]): Promise<void> {
    await executed(["nsenter", "--target", String(this.#initPid), "--net", ...command]);
  }

  async #resize(size: string): Promise<void> {
    await executed([...this.#place.inside, "mount", "-o", `remount,size=${size}`, this.#disk]);
  }
}

/** Ends the names of links, so that those of two boots are two. */
const letters = "abcdefghijklmnopqrstuvwxyz";

function answersSsh(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: 22, timeout: 500 });
    const end = (answers: boolean) => {
      socket.destroy();
      resolve(answers);
    };
    socket.on("data", (data) => end(data.toString("latin1").startsWith("SSH-")));
    socket
      .on("error", () => end(false))
      .on("timeout", () => end(false))
      .on("close", () => resolve(false));
  });
}
