import type { Connections } from "./connections.ts";
import { Carrier } from "./carrier.ts";
import type { ClusterRecord, NodeRecord } from "./registry.ts";
import { relayPorts } from "./seats.ts";

/**
 * Carries the traffic of the nodes of a cluster that do not get through to its queue, through this client and for as
 * long as that is there. Each client takes a port of its own of the few that a node's agent knows, so clients need not
 * know of each other, and where one goes the agent finds the next at once.
 */
export class Relay implements Disposable {
  readonly #connections: Connections;
  readonly #carriers = new Map<string, Carrier>();
  readonly #stop = new AbortController();

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /**
   * Carries for all nodes that need it, from now on. With `isLooking` some seconds later: a client that is gone in a
   * moment would only have them begin work that they cannot hand in.
   */
  begin(record: ClusterRecord, { isLooking }: { isLooking: boolean }): void {
    for (const node of record.nodes) {
      const carrier = this.#carrierOf(record, node);
      if (!isLooking) void carrier?.listen().catch(() => undefined);
      carrier?.keep();
    }
  }

  /**
   * Carries for a node from now on, and resolves with the port of its loopback on which it does, or undefined for a
   * node that needs nobody. Rejects with `node.unreachable` where a machine does not let streams through.
   */
  async ready(record: ClusterRecord, node: NodeRecord): Promise<number | undefined> {
    const carrier = this.#carrierOf(record, node);
    if (!carrier) return undefined;
    const port = await carrier.listen();
    await carrier.checkSeats();
    carrier.keep();
    return port;
  }

  #carrierOf(record: ClusterRecord, { host, relay }: NodeRecord): Carrier | undefined {
    if (!relay || this.#stop.signal.aborted) return undefined;
    const seats = record.nodes.flatMap((each) => (relay.seats.includes(each.number) ? [each.host] : []));
    const key = JSON.stringify([host, relay.port, seats]);
    const known = this.#carriers.get(key);
    if (known) return known;
    const carrier = new Carrier({
      connections: this.#connections,
      host,
      ports: relayPorts(relay),
      seats: { hosts: seats, port: relay.port },
      signal: this.#stop.signal,
    });
    this.#carriers.set(key, carrier);
    return carrier;
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}
