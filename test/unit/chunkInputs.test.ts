import { expect, test } from "vitest";
import { chunkInputs } from "../../runtime/client/inputs.ts";

/** How inputs are cut into chunks by whoever goes on with a map. */

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

async function cut(...given: Parameters<typeof chunkInputs>): Promise<{ chunks: [number, number][]; total: number }> {
  const chunks: [number, number][] = [];
  const iterator = chunkInputs(...given);
  for (;;) {
    const next = await iterator.next();
    if (next.done) return { chunks, total: next.value };
    chunks.push([next.value.lo, next.value.count]);
  }
}

async function* slowly(values: number[]): AsyncGenerator<number> {
  for (const value of values) yield await Promise.resolve(value);
}

test.each([
  ["a list", (n: number) => range(n)],
  ["a stream", (n: number) => slowly(range(n))],
])("inputs that are stored already are left out: %s", async (_what, inputs) => {
  const stored = [
    { lo: 30, count: 10 },
    { lo: 45, count: 5 },
  ];
  expect(await cut(inputs(60), 20, stored)).toEqual({
    chunks: [
      [20, 10],
      [40, 5],
      [50, 10],
    ],
    total: 60,
  });
  expect(await cut(inputs(50), 20, stored)).toEqual({
    chunks: [
      [20, 10],
      [40, 5],
    ],
    total: 50,
  });
});
