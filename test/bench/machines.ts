/**
 * Clusters of machines, in figures: simulated machines on this computer, with real sshds between. Needs root on Linux;
 * `npm run bench` leaves these rows out elsewhere.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { WebSocket } from "ws";
import { Cluster } from "farcall";
import { Lab } from "../lab/lab.ts";
import type { Machine } from "../lab/machine.ts";
import { natsServerProgram } from "../support/natsProgram.ts";
import { ssh2Build } from "../../scripts/ssh2Build.ts";
import type * as ssh from "../support/ssh.ts";
import { bullmqRate } from "./bullmq.ts";

export interface MachineFigures {
  /** Milliseconds, medians. */
  warmCallMs: number;
  wsEchoMs: number;
  /** From `up` of machines whose sshd answers and that have Node, to the first result. */
  oneNodeMs: number;
  eightNodesMs: number;
  editMs: number;
  /** A map of nothing over four nodes. */
  inputsPerSecond: number;
  /** The same through BullMQ; null where that cannot be installed. */
  bullmqPerSecond: number | null;
  /** Share of its time that the least busy replica works, in a map of inputs of one millisecond. */
  leastBusyShare: number;
}

/** Machines that are brought up one after the other, for the median of the time that takes. */
const tries = 3;
/** A warm call and an echo are timed in turns of so many. */
const turns = 20;
const perTurn = 100;
const bullmqJobs = 50_000;

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function timed(act: () => Promise<unknown>): Promise<number> {
  const beganAtMs = performance.now();
  await act();
  return performance.now() - beganAtMs;
}

export async function measureMachines(home: string): Promise<MachineFigures> {
  process.env["FARCALL_NATS_SERVER"] = await natsServerProgram();
  await using lab = await Lab.start();
  process.env["FARCALL_SSH_CONFIG"] = lab.sshConfigFile;
  const folder = join(home, "code");
  await mkdir(folder, { recursive: true });
  const file = join(folder, "work.ts");
  const work = (n: number) => `
    export const noop = (x: number) => x;
    export const edited = () => ${n};
    export const oneMs = () => { const until = performance.now() + 1; while (performance.now() < until); };`;
  await writeFile(file, work(0));

  const bring = async (name: string, machines: Machine[]): Promise<{ cluster: Cluster; ms: number }> => {
    const cluster = new Cluster(
      { name, hosts: machines.map((machine) => machine.name) },
      { home: join(home, name), logs: "ignore" },
    );
    const ms = await timed(async () => {
      await cluster.up();
      const { noop } = await cluster.import<{ noop(x: number): number }>(file);
      await noop(1);
    });
    return { cluster, ms };
  };

  const firsts: number[] = [];
  for (let n = 1; n < tries; n++) {
    const { cluster, ms } = await bring(`first${n}`, [await lab.machine()]);
    firsts.push(ms);
    await cluster.down({ force: true });
    cluster.close();
  }
  const alone = await lab.machine();
  const one = await bring("one", [alone]);
  firsts.push(one.ms);
  const { call, echo } = await warmCalls(one.cluster, file, lab, alone);
  const edits: number[] = [];
  for (let n = 1; n <= 8; n++) {
    await writeFile(file, work(n));
    edits.push(
      await timed(async () => {
        const { edited } = await one.cluster.import<{ edited(): number }>(file);
        if ((await edited()) !== n) throw new Error("stale code ran");
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await one.cluster.down({ force: true });
  one.cluster.close();

  const four = await bring("four", await lab.machines(4));
  const replicasOfFour = 4 * availableParallelism();
  const { noop, oneMs } = await four.cluster.import<{ noop(x: number): number; oneMs(): void }>(file);
  const count = 400_000;
  await noop.map(Array.from({ length: 50_000 }, (_, i) => i)).toArray();
  const mapMs = await timed(() => noop.map(Array.from({ length: count }, (_, i) => i)).toArray());
  const busy = oneMs.map(Array.from({ length: 8_000 }, () => 0) as never);
  await busy.toArray();
  const timeline = await (await four.cluster.runs.open(busy.id)).timeline();
  const shares = timeline.replicas.map(({ busy: steps }) => {
    // Without the first and the last step, in which work begins and ends.
    const inside = steps.slice(1, -1);
    return inside.reduce((sum, share) => sum + share, 0) / Math.max(1, inside.length);
  });
  await four.cluster.down({ force: true });
  four.cluster.close();

  const bullmq = await bullmqRate(join(home, "redis"), bullmqJobs, replicasOfFour).catch(() => null);

  const eight = await bring("eight", await lab.machines(8));
  await eight.cluster.down({ force: true });
  eight.cluster.close();
  return {
    warmCallMs: call,
    wsEchoMs: echo,
    oneNodeMs: median(firsts),
    eightNodesMs: eight.ms,
    editMs: median(edits.slice(1)),
    inputsPerSecond: (count / mapMs) * 1_000,
    bullmqPerSecond: bullmq,
    leastBusyShare: Math.min(...shares),
  };
}

/** Calls and echoes in turns, so that both have the same computer. */
async function warmCalls(
  cluster: Cluster,
  file: string,
  lab: Lab,
  machine: Machine,
): Promise<{ call: number; echo: number }> {
  const { noop } = await cluster.import<{ noop(x: number): number }>(file);
  await using other = await echoOverSsh(lab, machine);
  const times = { call: [] as number[], echo: [] as number[] };
  for (let turn = 0; turn < turns; turn++) {
    for (let i = 0; i < perTurn; i++) times.call.push(await timed(() => noop(i)));
    for (let i = 0; i < perTurn; i++) times.echo.push(await timed(() => other.echo()));
  }
  const warm = (all: number[]): number => median(all.slice(all.length / 4));
  return { call: warm(times.call), echo: warm(times.echo) };
}

/** A WebSocket echo on the machine, over a tunnel of the same kind. */
async function echoOverSsh(
  lab: Lab,
  machine: Machine,
): Promise<{ echo(): Promise<void>; [Symbol.asyncDispose](): Promise<void> }> {
  const socketPath = "/tmp/echo.sock";
  // In one file, as a machine does not see all folders of this computer.
  const { outputFiles } = await build({
    stdin: {
      contents: `import { createServer } from "node:http";
        import { WebSocketServer } from "ws";
        const server = createServer();
        new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (s) => s.on("message", (m) => s.send(m)));
        server.listen(${JSON.stringify(socketPath)});`,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    platform: "node",
    external: ["bufferutil", "utf-8-validate"],
    write: false,
  });
  await machine.do(
    `cat > /tmp/echo.cjs
    node /tmp/echo.cjs </dev/null >/dev/null 2>&1 &
    for each in $(seq 200); do [ -S ${socketPath} ] && exit 0; sleep 0.1; done; exit 1`,
    { input: outputFiles[0]!.text, as: machine.user },
  );
  const connection = await (await builtSsh(join(lab.folder, "ssh.mjs"))).open(lab, machine);
  const stream = await connection.dialSocket(socketPath);
  const socket = new WebSocket("ws+unix:echo:/", {
    createConnection: (() => stream) as never,
    perMessageDeflate: false,
  });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const message = Buffer.alloc(100);
  return {
    echo: () =>
      new Promise((resolve) => {
        socket.once("message", () => resolve());
        socket.send(message);
      }),
    async [Symbol.asyncDispose]() {
      socket.terminate();
      await connection[Symbol.asyncDispose]();
    },
  };
}

/** As it is built for the client. */
async function builtSsh(outfile: string): Promise<typeof ssh> {
  await build({
    entryPoints: [join(import.meta.dirname, "../support/ssh.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    plugins: [ssh2Build],
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  return (await import(outfile)) as typeof ssh;
}
