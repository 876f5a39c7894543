import { seatCount } from "./seats.ts";

/** Who gets through to whom; everybody to everybody where nothing else was found. */
export class Roads {
  readonly #ports: { client: number; cluster: number };
  readonly #closed = new Set<string>();

  constructor(ports: { client: number; cluster: number }) {
    this.#ports = ports;
  }

  close(from: number, to: number, port: number): void {
    this.#closed.add(`${from} ${to} ${port}`);
  }

  /** From a node to a seat. */
  lead(from: number, to: number, port: number = this.#ports.client): boolean {
    return !this.#closed.has(`${from} ${to} ${port}`);
  }

  /** Between two that would both be seats. */
  join(one: number, other: number): boolean {
    const { client, cluster } = this.#ports;
    return [client, cluster].every((port) => this.lead(one, other, port) && this.lead(other, one, port));
  }
}

/**
 * Which nodes are to hold the queue: three that get through to each other where there are so many, and otherwise one;
 * those that most nodes get through to, and of several the first hosts. By number; `candidates` are of `nodes`.
 */
export function chooseSeats(nodes: readonly number[], candidates: readonly number[], roads: Roads): number[] {
  const threes = candidates.flatMap((first, at) =>
    candidates.slice(at + 1).flatMap((second, next) =>
      candidates
        .slice(at + next + 2)
        .filter((third) => roads.join(first, second) && roads.join(first, third) && roads.join(second, third))
        .map((third) => [first, second, third]),
    ),
  );
  const choices = seatCount(nodes.length) === 3 && threes.length > 0 ? threes : candidates.map((one) => [one]);
  const reachedBy = (seats: readonly number[]) =>
    nodes.filter((node) => seats.every((seat) => roads.lead(node, seat))).length;
  return choices.reduce((best, seats) => (reachedBy(seats) > reachedBy(best) ? seats : best));
}
