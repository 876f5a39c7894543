import { describe, expect, it } from "vitest";
import { chooseSeats, Roads } from "../../runtime/cluster/seatChoice.ts";

const ports = { client: 20_000, cluster: 20_001 };

/** Roads of so many nodes, without those between the pairs, in that direction. */
function roadsWithout(...closed: [from: number, to: number, port?: number][]): Roads {
  const roads = new Roads(ports);
  for (const [from, to, port = ports.client] of closed) roads.close(from, to, port);
  return roads;
}

function choice(count: number, roads: Roads): number[] {
  const nodes = Array.from({ length: count }, (_, at) => at + 1);
  return chooseSeats(nodes, nodes, roads);
}

describe("the nodes that hold the queue", () => {
  it("are the first ones where everybody gets through to everybody", () => {
    expect(choice(2, roadsWithout())).toEqual([1]);
    expect(choice(3, roadsWithout())).toEqual([1, 2, 3]);
    expect(choice(6, roadsWithout())).toEqual([1, 2, 3]);
  });

  it("are others than one that cannot be reached, or does not get through itself", () => {
    expect(choice(4, roadsWithout([1, 2]))).toEqual([1, 3, 4]);
    expect(choice(4, roadsWithout([2, 1], [3, 1], [4, 1]))).toEqual([2, 3, 4]);
    expect(choice(2, roadsWithout([2, 1]))).toEqual([2]);
  });

  it("need each other's other port as well, which nobody else does", () => {
    expect(choice(4, roadsWithout([2, 3, ports.cluster]))).toEqual([1, 2, 4]);
    expect(choice(3, roadsWithout([2, 3, ports.cluster]))).toEqual([1]);
  });

  it("are those that most of the others get through to", () => {
    expect(choice(5, roadsWithout([5, 1]))).toEqual([2, 3, 4]);
  });

  it("are one where there are no three", () => {
    expect(choice(3, roadsWithout([2, 1], [2, 3], [1, 2], [3, 2]))).toEqual([1]);
    expect(choice(4, roadsWithout([1, 2], [2, 1], [3, 4], [4, 3]))).toEqual([1]);
  });
});
