import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Capacity, type Need, share } from "../../runtime/agent/fleet/share.ts";

const node = (number: number, more: Partial<Capacity> = {}): Capacity => ({
  number,
  cpus: 4,
  memoryMiB: 16_000,
  gpus: 0,
  ...more,
});
const need = (more: Partial<Need> = {}): Need => ({ cpus: null, memoryMiB: null, gpus: null, node: null, ...more });
const counts = (total: number | null, wants: Need, nodes: Capacity[]) => [...share(total, wants, nodes).values()];

describe("replicas on nodes", () => {
  it("are one a core where nobody says how many", () => {
    expect(counts(null, need(), [node(1), node(2, { cpus: 2 })])).toEqual([4, 2]);
    expect(counts(null, need({ cpus: 3 }), [node(1), node(2, { cpus: 2 })])).toEqual([1, 1]);
    expect(counts(null, need({ cpus: 0.5 }), [node(1)])).toEqual([8]);
  });

  it("are spread by what the nodes have room for", () => {
    expect(counts(6, need(), [node(1), node(2), node(3)])).toEqual([2, 2, 2]);
    expect(counts(6, need(), [node(1, { cpus: 8 }), node(2)])).toEqual([4, 2]);
    expect(counts(1, need(), [node(2), node(1)])).toEqual([0, 1]);
    expect(counts(30, need(), [node(1), node(2, { cpus: 2 })])).toEqual([20, 10]);
  });

  it("go only where their memory and GPUs are, and no more than there are GPUs", () => {
    const nodes = [node(1), node(2, { gpus: 2 }), node(3, { gpus: 4, memoryMiB: 4_000 })];
    expect(counts(null, need({ gpus: 1 }), nodes)).toEqual([0, 2, 4]);
    expect(counts(9, need({ gpus: 1 }), nodes)).toEqual([0, 2, 4]);
    expect(counts(null, need({ gpus: 0.5 }), nodes)).toEqual([0, 4, 4]);
    expect(counts(null, need({ gpus: 0.5, cpus: 0.5 }), nodes)).toEqual([0, 4, 8]);
    expect(counts(20, need({ gpus: 0.5 }), nodes)).toEqual([0, 4, 8]);
    expect(counts(20, need({ gpus: 0.6 }), nodes)).toEqual([0, 2, 4]);
    expect(counts(20, need({ gpus: 1.5 }), nodes)).toEqual([0, 1, 2]);
    expect(counts(null, need({ gpus: 2, memoryMiB: 8_000 }), nodes)).toEqual([0, 1, 0]);
    expect(counts(4, need({ memoryMiB: 8_000 }), nodes)).toEqual([2, 2, 0]);
  });

  it("can be pinned to a node", () => {
    expect(counts(3, need({ node: 2 }), [node(1), node(2)])).toEqual([0, 3]);
    expect(counts(null, need({ node: 9 }), [node(1), node(2)])).toEqual([0, 0]);
  });

  it("are as many as were asked for wherever one fits, in whatever order the nodes are known", () => {
    const capacity = fc.record({
      cpus: fc.integer({ min: 1, max: 64 }),
      gpus: fc.constant(0),
      memoryMiB: fc.constant(1_000),
    });
    fc.assert(
      fc.property(
        fc.array(capacity, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 0, max: 200 }),
        (all, total) => {
          const nodes = all.map((each, at) => ({ ...each, number: at + 1 }));
          const shares = share(total, need(), nodes);
          expect([...shares.values()].reduce((sum, count) => sum + count, 0)).toBe(total);
          const sorted = (map: Map<number, number>) => [...map].sort(([a], [b]) => a - b);
          expect(sorted(share(total, need(), nodes.toReversed()))).toEqual(sorted(shares));
        },
      ),
    );
  });
});
