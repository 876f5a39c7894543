/**
 * The table of a run's results over a map, in a process of its own: `node panelMany.ts COUNT` prints for a sort by a
 * number and by a text, a filter and failures only how long the first page took, how far memory grew and the longest
 * time that nothing else could run.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { cluster } from "farcall";
import { Results } from "../../extension/panels/results.ts";
import { defaultView, type ResultView } from "../../webview/messages/run.ts";
import type { TableTime } from "./extension.ts";

const count = Number(process.argv[2]);
const local = cluster("local", { logs: "ignore" });
const { record } = await local.import<typeof import("./functions.ts")>("./functions.ts", {
  from: import.meta.url,
  env: { replicas: 2 },
});
const map = record.map(numbers(count), { onError: "collect" });
await map.finished();
const run = await local.runs.open(map.id);

const views: [name: string, view: Partial<ResultView>][] = [
  ["failures only", { failuresOnly: true }],
  ["filter", { filter: "page-77" }],
  ["sort by number", { sort: ".square" }],
  ["sort by text", { sort: ".url" }],
];
const rows: TableTime[] = [];
for (const [name, change] of views) {
  const results = new Results(
    () => Promise.resolve(run),
    () => undefined,
  );
  const delays = monitorEventLoopDelay({ resolution: 1 });
  const before = process.memoryUsage.rss();
  let peak = before;
  const sampler = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 50);
  delays.enable();
  const beganAtMs = performance.now();
  const { of } = await results.page({ ...defaultView, ...change }, 0, 100, new AbortController().signal);
  const ms = performance.now() - beganAtMs;
  delays.disable();
  clearInterval(sampler);
  if (of === 0) throw new Error(`${name}: no row was found`);
  rows.push({ name, ms, grownMiB: (peak - before) / 2 ** 20, blockedMs: delays.max / 1e6 });
}
process.stdout.write(`${JSON.stringify(rows)}\n`);
local.close();

function* numbers(upTo: number): Generator<number> {
  for (let i = 0; i < upTo; i++) yield i;
}
