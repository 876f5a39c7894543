import { Cluster } from "farcall";
import { join } from "node:path";
import type { Lab } from "../lab/lab.ts";
import type { Machine } from "../lab/machine.ts";
import type { MachineOptions } from "../lab/machineOptions.ts";
import { type CliResult, TestHome } from "./home.ts";
import { natsServerProgram } from "./natsProgram.ts";

/**
 * A cluster of several simulated machines as a person has it: made by the command line, used by that and by the
 * library. Taken down when disposed of, machines included, so that every test has its own.
 */
export interface FleetOptions {
  lab: Lab;
  nodes: number;
  /** Of each machine. */
  machine?: MachineOptions;
}

export class TestFleet implements AsyncDisposable {
  readonly home: TestHome;
  readonly machines: readonly Machine[];
  readonly #env: Record<string, string>;
  readonly #clusters: Cluster[] = [];

  private constructor(home: TestHome, machines: readonly Machine[], env: Record<string, string>) {
    this.home = home;
    this.machines = machines;
    this.#env = env;
  }

  /** Machines and a home; nothing is on them yet. */
  static async prepare({ lab, nodes, machine }: FleetOptions): Promise<TestFleet> {
    const [home, machines, program] = await Promise.all([
      TestHome.create(),
      lab.machines(nodes, machine),
      natsServerProgram(),
    ]);
    const all = { FARCALL_SSH_CONFIG: lab.sshConfigFile, FARCALL_NATS_SERVER: program };
    const fleet = new TestFleet(home, machines, all);
    // The library in this process finds the machines as the command line does.
    Object.assign(process.env, all);
    await home.write("functions.ts", functions);
    return fleet;
  }

  static async up(options: FleetOptions): Promise<TestFleet> {
    const fleet = await TestFleet.prepare(options);
    try {
      const { status, stderr } = await fleet.bringUp();
      if (status !== 0) throw new Error(`The cluster did not come up: ${stderr}`);
      return fleet;
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
  }

  bringUp(...options: string[]): Promise<CliResult> {
    const hosts = this.machines.flatMap(({ name }) => ["--host", name]);
    return this.cli(["up", "lab", ...hosts, ...options], { timeoutMs: 120_000 });
  }

  cli(
    args: readonly string[],
    options: { input?: string; timeoutMs?: number; home?: TestHome; build?: string } = {},
  ): Promise<CliResult> {
    const { home = this.home, ...rest } = options;
    return home.cli(args, { env: this.#env, ...rest });
  }

  get environment(): Record<string, string> {
    return this.#env;
  }

  /** The cluster as the library has it; closed with the fleet. */
  open(): Cluster {
    const cluster = new Cluster("lab", { home: this.home.path, logs: "ignore" });
    this.#clusters.push(cluster);
    return cluster;
  }

  get functionsFile(): string {
    return join(this.home.project, "functions.ts");
  }

  /** How often `slow` or `slower` was run on the machines that are up. */
  async timesRun(): Promise<number> {
    const marks = await Promise.all(
      this.machines.filter(({ isUp }) => isUp).map((machine) => machine.do(`cat ${machine.home}/${marksFile} | wc -c`)),
    );
    return marks.reduce((sum, count) => sum + Number(count), 0);
  }

  /** What runs on a machine of this cluster, as `name: command`. */
  farcallProcesses(): string[] {
    return this.machines.flatMap((machine) =>
      machine
        .processes()
        .filter(({ command, state }) => state !== "Z" && ofFarcall.test(command))
        .map(({ command }) => `${machine.name}: ${command}`),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cluster of this.#clusters) cluster.close();
    await Promise.all(this.machines.map((machine) => machine.kill()));
    await this.home[Symbol.asyncDispose]();
  }
}

const ofFarcall = /farcall-node|agent\.js|worker\.js|nats-server|supervise\.sh/;

/** What each process of a cluster looks like on a machine. */
export const kinds = { worker: /worker\.js/, agent: /node .*agent\.js/, broker: /^\S*nats-server/ } as const;

const marksFile = "times-run";

const functions = `
import { appendFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
export function square(n: number) { return n * n; }
/** Where it was worked, after so many milliseconds. */
export async function where(ms: number) { await sleep(ms); console.log("on " + hostname()); return hostname(); }
/** The value that an input is to have, and where it was worked. Leaves a mark each time, as long as the disk takes it. */
export const slow = (n: number) => after(5, n);
export const slower = (n: number) => after(200, n);
async function after(ms: number, n: number) {
  await sleep(ms);
  try { appendFileSync(homedir() + "/${marksFile}", "."); } catch {}
  return [n * 3, hostname()];
}
export function fail(n: number) { if (n === 700) throw new RangeError("too far"); return n; }
`;
