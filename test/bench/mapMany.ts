/** One map in a process of its own: `node mapMany.ts COUNT` prints how long it took and how large the client became. */
import { cluster } from "farcall";

const count = Number(process.argv[2]);
const local = cluster("local", { logs: "ignore" });
const { noop } = await local.import<typeof import("./functions.ts")>("./functions.ts", {
  from: import.meta.url,
  env: { replicas: 2 },
});
await noop.map(numbers(1_000)).toArray();

let peakMiB = 0;
let agentPeakMiB = 0;
const sampler = setInterval(() => {
  peakMiB = Math.max(peakMiB, process.memoryUsage.rss() / 2 ** 20);
  void local.status().then((status) => (agentPeakMiB = Math.max(agentPeakMiB, status?.residentMiB ?? 0)));
}, 50);

const beganAtMs = performance.now();
let seen = 0;
let sum = 0;
for await (const outcome of noop.map(numbers(count))) {
  seen++;
  if ("value" in outcome) sum += outcome.value;
}
const ms = performance.now() - beganAtMs;
clearInterval(sampler);
const complete = seen === count && sum === (count * (count - 1)) / 2;
process.stdout.write(`${JSON.stringify({ ms, peakMiB, agentPeakMiB, complete })}\n`);
local.close();

function* numbers(upTo: number): Generator<number> {
  for (let i = 0; i < upTo; i++) yield i;
}
