export const noop = (x: number): number => x;

/** A result as crawlers and parsers have them; one in a thousand fails. */
export function record(n: number): { url: string; square: number; ok: boolean; tags: string[] } {
  if (n % 1_000 === 1) throw new RangeError(`no ${n}`);
  return {
    url: `https://example.test/page-${(n * 7919) % 1_000_003}`,
    square: (n * n) % 10_007,
    ok: n % 2 === 0,
    tags: ["a", "b"],
  };
}
