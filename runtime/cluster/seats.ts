import { randomInt } from "node:crypto";
import type { NodeFile } from "../spec/nodeFile.ts";
import type { Keys } from "./keys.ts";
import type { SetupTarget } from "../setup/messages.ts";
import type { ClusterRecord, NodeRecord, Relayed } from "./registry.ts";

/**
 * Where the queue of a cluster of several nodes is: on seats, nodes that run a server of the broker. One of them for
 * two nodes, three from three nodes on, so that any of them may be lost. The first hosts are the seats, for good:
 * servers cannot change places with each other.
 */
const fewestForThree = 3;
/** Only certificates of seats are for this name, so no other node can pass for one. */
export const seatName = "seat.farcall";
/** Above the well-known ports, and below those that Linux gives to outgoing connections by default. */
const ports = { from: 20_000, to: 32_000 } as const;
/** So many clients can carry the traffic of a node at once; one that vanished may hold its port for a quarter of an hour. */
const relayPortCount = 4;

export function seatCount(nodes: number): 0 | 1 | 3 {
  if (nodes < 2) return 0;
  return nodes < fewestForThree ? 1 : 3;
}

/** Two ports for the seats of a cluster, the same on each: for nodes, and for the other seats. */
export function newPorts(): { client: number; cluster: number } {
  const client = randomInt(ports.from, ports.to - 1);
  return { client, cluster: client + 1 };
}

/** The ports on the loopback of a node that clients listen on for it, each client on one. */
export function relayPorts({ port }: Relayed): number[] {
  return Array.from({ length: relayPortCount }, (_, at) => port + at);
}

/** What a node of the cluster is to know of itself and the queue. */
export function nodeFileOf(record: ClusterRecord, node: NodeRecord, keys: Keys): NodeFile {
  const seats = seatsOf(record);
  if (seats.length === 0 || !record.ports) return { number: node.number };
  const { client, cluster } = record.ports;
  const mine = keys.nodes[node.number]!;
  const tls = { ca: keys.authority.cert, ...mine.certified };
  const isSeat = seats.some(({ number }) => number === node.number);
  const users = record.nodes.map(({ number }) => ({
    nkey: keys.nodes[number]!.nkey,
    // Streams are made by whoever comes first, which only seats may be.
    role: seats.some((seat) => seat.number === number) ? ("owner" as const) : ("agent" as const),
    inboxPrefix: `_INBOX_n${number}`,
    also: { publish: ["f.>", `h.n${number}`], subscribe: [`f.n${number}.>`, "h.*"] },
  }));
  const everywhere = "0.0.0.0";
  return {
    number: node.number,
    broker: {
      servers: [
        ...directSeats(record, node).map((seat) => `tls://${bracketed(addressOf(seat))}:${client}`),
        ...(node.relay ? relayPorts(node.relay).map((port) => `tls://127.0.0.1:${port}`) : []),
      ],
      ...(node.relay ? { inOrder: true } : {}),
      replicas: seats.length === 3 ? 3 : 1,
      tls: { ...tls, servername: seatName },
      nkeySeed: mine.seed,
    },
    ...(isSeat
      ? {
          seat: {
            name: `s${node.number}`,
            listen: { host: everywhere, port: client },
            ...(seats.length === 3
              ? {
                  cluster: {
                    host: everywhere,
                    port: cluster,
                    seats: seats.map((seat) => `${bracketed(addressOf(seat))}:${cluster}`),
                  },
                }
              : {}),
            tls,
            users,
          },
        }
      : {}),
  };
}

/** Where a node has to get through to by itself, in words that say what to open. */
export function targetsOf(record: ClusterRecord, node: NodeRecord): SetupTarget[] {
  const seats = seatsOf(record);
  if (!record.ports) return [];
  const { client, cluster } = record.ports;
  const isSeat = seats.some(({ number }) => number === node.number);
  return directSeats(record, node).flatMap((seat) => [
    { host: addressOf(seat), port: client, name: seat.host },
    ...(isSeat && seats.length === 3 ? [{ host: addressOf(seat), port: cluster, name: seat.host }] : []),
  ]);
}

function directSeats(record: ClusterRecord, { relay }: NodeRecord): NodeRecord[] {
  return seatsOf(record).filter(({ number }) => !relay?.seats.includes(number));
}

function seatsOf({ nodes, seats }: ClusterRecord): NodeRecord[] {
  return nodes.filter(({ number }) => seats.includes(number));
}

export function addressOf({ address, host }: NodeRecord): string {
  return address ?? host;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
