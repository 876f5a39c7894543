/**
 * `npm run bench`: how fast Farcall is, always beside something bare that does the same in the same run, as
 * machines differ and ratios travel. `--json` prints the rows as JSON; names of parts, such as `machines`, measure
 * only those. Nothing here is a test: on a busy
 * machine the figures are worse, and the table says so.
 */
import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Piscina } from "piscina";

interface Row {
  what: string;
  ours: number;
  /** What it is compared with, and its figure in the same unit. */
  beside: string;
  theirs: number | null;
  unit: string;
  ratio: number | null;
  bar: string;
  met: boolean | null;
}

const root = join(import.meta.dirname, "../..");
const cli = join(root, "dist/cli.js");
const rows: Row[] = [];
const json = process.argv.includes("--json");

const home = await mkdtemp(join(tmpdir(), "farcall-bench-"));
process.env["FARCALL_HOME"] = join(home, "home");
const { cluster } = await import("farcall");

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function add(row: Omit<Row, "ratio"> & { ratio?: number }): void {
  const ratio = row.ratio ?? (row.theirs === null ? null : row.ours / row.theirs);
  rows.push({ ...row, ratio });
  if (!json) process.stderr.write(".");
}

async function timed(act: () => unknown): Promise<number> {
  const beganAtMs = performance.now();
  await act();
  return performance.now() - beganAtMs;
}

function echo(child: ChildProcess, message: unknown): Promise<unknown> {
  return new Promise((resolve) => {
    child.once("message", resolve);
    child.send(message as never);
  });
}

async function warmCall(): Promise<void> {
  const local = cluster("local", { logs: "ignore" });
  const { noop } = await local.import<typeof import("./functions.ts")>("./functions.ts", {
    from: import.meta.url,
    env: { replicas: 2 },
  });
  const child = fork(join(import.meta.dirname, "ipcEcho.mjs"));
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let i = 0; i < 1_000; i++) {
    await noop(i);
    await echo(child, i);
  }
  // In turns, so that a moment of trouble on the machine hits both.
  for (let block = 0; block < 20; block++) {
    for (let i = 0; i < 200; i++) ours.push(await timed(() => noop(i)));
    for (let i = 0; i < 200; i++) theirs.push(await timed(() => echo(child, i)));
  }
  child.kill();
  local.close();
  const p50 = { ours: median(ours), theirs: median(theirs) };
  add({
    what: "warm call p50",
    ours: p50.ours,
    beside: "child_process IPC echo",
    theirs: p50.theirs,
    unit: "ms",
    bar: "≤ 4 ×",
    met: p50.ours <= 4 * p50.theirs,
  });
  add({
    what: "warm call p99",
    ours: percentile(ours, 0.99),
    beside: "child_process IPC echo",
    theirs: percentile(theirs, 0.99),
    unit: "ms",
    bar: "",
    met: null,
  });
}

interface Many {
  ms: number;
  peakMiB: number;
  agentPeakMiB: number;
  complete: boolean;
}

function mapMany(count: number): Many {
  const result = JSON.parse(
    execFileSync(process.execPath, [join(import.meta.dirname, "mapMany.ts"), String(count)], { encoding: "utf8" }),
  ) as Many;
  if (!result.complete) throw new Error(`a map of ${count} inputs lost some`);
  return result;
}

async function noopMap(): Promise<void> {
  const count = 200_000;
  const inputs = Array.from({ length: count }, (_, i) => i);
  const ours = median([mapMany(count), mapMany(count), mapMany(count)].map(({ ms }) => (count / ms) * 1_000));

  const pool = new Piscina({
    filename: join(import.meta.dirname, "piscinaWorker.mjs"),
    minThreads: 2,
    maxThreads: 2,
    concurrentTasksPerWorker: 1_000,
  });
  await Promise.all(inputs.slice(0, 1_000).map((x) => pool.run(x)));
  const piscinaMs = await timed(() => Promise.all(inputs.map((x) => pool.run(x))));
  await pool.destroy();
  const piscina = (count / piscinaMs) * 1_000;

  const children = [0, 1].map(() => fork(join(import.meta.dirname, "ipcEcho.mjs")));
  const waiting = new Map<number, () => void>();
  for (const child of children) child.on("message", (x: number) => waiting.get(x)?.());
  const ipcMs = await timed(() =>
    Promise.all(
      inputs.map(
        (x) =>
          new Promise<void>((resolve) => {
            waiting.set(x, resolve);
            children[x % 2]!.send(x);
          }),
      ),
    ),
  );
  for (const child of children) child.kill();
  const ipc = (count / ipcMs) * 1_000;

  add({
    what: "no-op map of 200,000",
    ours,
    beside: "piscina, Promise.all",
    theirs: piscina,
    unit: "inputs/s",
    bar: "≥ 100,000/s, > 1 ×",
    met: ours >= 100_000 && ours > piscina,
  });
  add({
    what: "no-op map of 200,000",
    ours,
    beside: "Promise.all over IPC",
    theirs: ipc,
    unit: "inputs/s",
    bar: "",
    met: null,
  });
}

async function million(): Promise<void> {
  const costs: number[] = [];
  let many: Many | undefined;
  for (const count of [10_000, 100_000, 1_000_000]) {
    const repeats = count < 1_000_000 ? 3 : 1;
    const results = Array.from({ length: repeats }, () => mapMany(count));
    many = results.at(-1);
    costs.push(median(results.map(({ ms }) => (ms / count) * 1_000)));
  }
  const [ten = 0, hundred = 0, all = 0] = costs;
  add({
    what: "client memory, 1,000,000 inputs",
    ours: many!.peakMiB,
    beside: "",
    theirs: null,
    unit: "MiB",
    bar: "≤ 300 MiB",
    met: many!.peakMiB <= 300,
  });
  add({
    what: "agent memory, 1,000,000 inputs",
    ours: many!.agentPeakMiB,
    beside: "",
    theirs: null,
    unit: "MiB",
    bar: "≤ 300 MiB",
    met: many!.agentPeakMiB <= 300,
  });
  add({
    what: "cost of an input at 100,000",
    ours: hundred,
    beside: "at 10,000",
    theirs: ten,
    unit: "µs",
    bar: "flat",
    met: hundred <= 1.25 * ten,
  });
  add({
    what: "cost of an input at 1,000,000",
    ours: all,
    beside: "at 100,000",
    theirs: hundred,
    unit: "µs",
    bar: "flat",
    met: all <= 1.25 * hundred,
  });
}

async function run(args: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  return timed(async () => {
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "inherit"] });
    const [code] = (await once(child, "exit")) as [number];
    if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}`);
  });
}

async function startUp(): Promise<void> {
  const bare: number[] = [];
  const help: number[] = [];
  const cold: number[] = [];
  for (let i = 0; i < 5; i++) {
    bare.push(await run(["-e", "0"]));
    help.push(await run([cli, "--help"]));
    const fresh = { ...process.env, FARCALL_HOME: join(home, `cold${i}`) };
    cold.push(await run([cli, "run", `${join(import.meta.dirname, "functions.ts")}#noop`, "[1]"], fresh));
    await run([cli, "down", "local"], { ...fresh, NODE_NO_WARNINGS: "1" });
  }
  add({
    what: "farcall --help",
    ours: median(help),
    beside: "node -e 0",
    theirs: median(bare),
    unit: "ms",
    bar: "≤ 150 ms",
    met: median(help) <= 150,
  });
  add({
    what: "first call, nothing running or cached",
    ours: median(cold),
    beside: "node -e 0",
    theirs: median(bare),
    unit: "ms",
    bar: "",
    met: null,
  });
}

async function edit(): Promise<void> {
  const local = cluster("local", { logs: "ignore" });
  const folder = join(root, ".cache/bench-edit");
  await rm(folder, { recursive: true, force: true });
  const file = join(folder, "edited.ts");
  const { mkdir } = await import("node:fs/promises");
  await mkdir(folder, { recursive: true });
  const write = (n: number) =>
    writeFile(file, `import { load } from "cheerio";\nexport const f = () => ${n} + load("<p>x</p>")("p").length;\n`);
  const times: number[] = [];
  for (let i = 0; i < 12; i++) {
    await write(i);
    const ms = await timed(async () => {
      const { f } = await local.import<{ f(): number }>(file);
      if ((await f()) !== i + 1) throw new Error("stale code ran");
    });
    // The first one sends the third-party code and starts the first worker.
    if (i > 1) times.push(ms);
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
  local.close();
  await rm(folder, { recursive: true, force: true });
  add({
    what: "edit of one line → new result",
    ours: median(times),
    beside: "",
    theirs: null,
    unit: "ms",
    bar: "≤ 150 ms",
    met: median(times) <= 150,
  });
}

async function extension(): Promise<void> {
  const { activationTimesMs, mainBundleBytes, scanTimesMs, tableTimes } = await import("./extension.ts");
  const alone = { beside: "", theirs: null };
  const kilobytes = mainBundleBytes() / 1_000;
  add({
    what: "extension: main bundle",
    ours: kilobytes,
    ...alone,
    unit: "kB",
    bar: "≤ 150 kB",
    met: kilobytes <= 150,
  });
  const scan = median(scanTimesMs());
  add({
    what: "extension: functions of 5,000 lines",
    ours: scan,
    ...alone,
    unit: "ms",
    bar: "< 30 ms",
    met: scan < 30,
  });
  for (const { name, ms, grownMiB, blockedMs } of tableTimes(1_000_000)) {
    const what = `table of 1,000,000: ${name}`;
    add({ what, ours: ms, ...alone, unit: "ms", bar: "", met: null });
    add({ what: `${what}, memory`, ours: grownMiB, ...alone, unit: "MiB", bar: "≤ 300 MiB", met: grownMiB <= 300 });
    add({ what: `${what}, blocks`, ours: blockedMs, ...alone, unit: "ms", bar: "≤ 50 ms", met: blockedMs <= 50 });
  }
  const activation = median(await activationTimesMs());
  add({ what: "extension: activation", ours: activation, ...alone, unit: "ms", bar: "≤ 50 ms", met: activation <= 50 });
}

async function machines(): Promise<void> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return;
  const { measureMachines } = await import("./machines.ts");
  const found = await measureMachines(join(home, "machines"));
  const alone = { beside: "", theirs: null };
  add({
    what: "SSH: warm call p50",
    ours: found.warmCallMs,
    beside: "ws echo in the same tunnel",
    theirs: found.wsEchoMs,
    unit: "ms",
    bar: "≤ 2.5 ×",
    met: found.warmCallMs <= 2.5 * found.wsEchoMs,
  });
  add({
    what: "SSH: sshd answers → first result",
    ours: found.oneNodeMs,
    ...alone,
    unit: "ms",
    bar: "≤ 2,000 ms",
    met: found.oneNodeMs <= 2_000,
  });
  add({
    what: "SSH: the same for eight nodes",
    ours: found.eightNodesMs,
    beside: "one node",
    theirs: found.oneNodeMs,
    unit: "ms",
    bar: "≤ 1.5 ×",
    met: found.eightNodesMs <= 1.5 * found.oneNodeMs,
  });
  add({
    what: "SSH: edit → new result",
    ours: found.editMs,
    ...alone,
    unit: "ms",
    bar: "≤ 300 ms",
    met: found.editMs <= 300,
  });
  add({
    what: "four nodes: no-op map of 400,000",
    ours: found.inputsPerSecond,
    beside: found.bullmqPerSecond === null ? "BullMQ cannot be installed here" : "BullMQ on Redis, as many workers",
    theirs: found.bullmqPerSecond,
    unit: "inputs/s",
    bar: "≥ 50,000/s",
    met: found.inputsPerSecond >= 50_000,
  });
  add({
    what: "four nodes: least busy replica, inputs of 1 ms",
    ours: found.leastBusyShare * 100,
    ...alone,
    unit: "%",
    bar: "≥ 90 %",
    met: found.leastBusyShare >= 0.9,
  });
}

const parts: Record<string, () => Promise<void>> = { warmCall, noopMap, million, edit, startUp, extension, machines };
const wanted = process.argv.slice(2).filter((word) => !word.startsWith("-"));

try {
  for (const [name, part] of Object.entries(parts)) if (wanted.length === 0 || wanted.includes(name)) await part();
} finally {
  await cluster("local").down({ force: true });
  await rm(home, { recursive: true, force: true });
}

if (json) process.stdout.write(`${JSON.stringify({ node: process.version, rows }, undefined, 2)}\n`);
else {
  const figure = (value: number | null) =>
    value === null ? "" : value >= 1_000 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3);
  process.stderr.write("\n");
  console.table(
    rows.map(({ what, ours, beside, theirs, unit, ratio, bar, met }) => ({
      what,
      ours: `${figure(ours)} ${unit}`,
      beside: theirs === null ? beside : `${beside}: ${figure(theirs)} ${unit}`,
      ratio: ratio === null ? "" : `${ratio.toPrecision(2)} ×`,
      bar,
      met: met === null ? "" : met ? "yes" : "NO",
    })),
  );
}
