import { cluster } from "farcall";

/** Adds up the words of many documents, counted in parallel. */
const urls = process.argv.slice(2);
await using local = cluster("local");
const { wordCounts } = await local.import<typeof import("./words.ts")>("./words.ts", { from: import.meta.url });

const totals = new Map<string, number>();
for await (const { index, ...outcome } of wordCounts.map(urls, { concurrency: 8, onError: "collect" })) {
  if ("error" in outcome) console.error(`${urls[index]}: ${outcome.error.message}`);
  else for (const [word, count] of Object.entries(outcome.value)) totals.set(word, (totals.get(word) ?? 0) + count);
}
const commonest = [...totals].sort(([, a], [, b]) => b - a).slice(0, 10);
for (const [word, count] of commonest) console.log(`${String(count).padStart(7)}  ${word}`);
