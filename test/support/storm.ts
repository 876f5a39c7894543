import { readFileSync } from "node:fs";

/** A seeded random number generator, so that a failing storm can be run again. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // mulberry32, public domain, by Tommy Ettinger
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Checks the outcome lines of a finished map: one for each index from 0, none twice. Returns what is wrong. */
export function checkOutcomes(
  file: string,
  total: number,
  isRight: (index: number, value: unknown) => boolean,
): string[] {
  const seen = new Uint8Array(total);
  const wrong: string[] = [];
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line === "") continue;
    const { index, value, error } = JSON.parse(line) as { index: number; value?: unknown; error?: { message: string } };
    if (index >= total || seen[index] === 1) wrong.push(`index ${index} is there twice or too high`);
    else seen[index] = 1;
    if (error) wrong.push(`index ${index} failed: ${error.message}`);
    else if (!isRight(index, value)) wrong.push(`index ${index} has the value ${JSON.stringify(value)}`);
  }
  const missing = seen.filter((mark) => mark === 0).length;
  if (missing > 0) wrong.push(`${missing} inputs have no outcome`);
  return wrong;
}
