import { expect, it } from "vitest";
import { TestHome, until } from "../support/home.ts";

/** Readers of a run whose agent dies under them. */
it("whoever reads a run has every line, outcome and record once, however often the agent is killed", async () => {
  await using home = await TestHome.create();
  await home.write(
    "slow.ts",
    `import { setTimeout as sleep } from "node:timers/promises";
     export async function slow(n: number) { await sleep(20); console.log("line " + n); return n; }`,
  );
  const shown: string[] = [];
  const reconnected: boolean[] = [];
  const mine = home.cluster({
    logs: ({ text }) => void shown.push(text),
    onReconnecting: (is) => void reconnected.push(is),
  });
  const other = home.cluster();
  const inputs = Array.from({ length: 300 }, (_, at) => at);
  const { slow } = await mine.import<{ slow(n: number): Promise<number> }>(`${home.project}/slow.ts`);
  const run = slow.map(inputs, { onError: "collect" });
  await run.accepted;
  const opened = await other.runs.open(run.id);
  const unordered = Array.fromAsync(opened.outcomes({ order: "settled" }));
  const read = Array.fromAsync(opened.logs());
  const watched = Array.fromAsync(opened.watch());
  const ordered = run.toArray();
  for (const lines of [40, 120]) {
    await until(
      () => shown.length,
      (length) => length > lines,
    );
    process.kill(home.agentPid()!, "SIGKILL");
  }
  expect(await ordered).toEqual(inputs);
  expect((await unordered).map(({ index }) => index).toSorted((a, b) => a - b)).toEqual(inputs);
  expect((await watched).at(-1)).toMatchObject({ state: "done", done: 300 });
  // An input in the hands of an agent that dies is worked again, and says so again: its lines are what there is.
  const stored = (await Array.fromAsync(opened.logs({ follow: false }))).flat().map(({ text }) => text);
  expect(new Set(stored).size).toBe(300);
  expect(
    (await read)
      .flat()
      .map(({ text }) => text)
      .toSorted(),
  ).toEqual(stored.toSorted());
  expect(shown.toSorted()).toEqual(stored.toSorted());
  expect(reconnected.slice(0, 4)).toEqual([true, false, true, false]);
});
