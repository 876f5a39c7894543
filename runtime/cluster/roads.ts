import { installNode } from "./bootstrap/nodeJs.ts";
import { surveyFrom } from "./bootstrap/setup.ts";
import type { Machine } from "./machines.ts";
import type { ClusterRecord, NodeRecord } from "./registry.ts";
import { chooseSeats, Roads } from "./seatChoice.ts";
import { addressOf, seatCount } from "./seats.ts";

/**
 * Where the queue of a cluster is to be, and whose traffic is to be relayed, when its nodes need not all get through to
 * each other. They are asked to try, before there is anything on them: nobody else knows.
 *
 * Seats get through to each other in both directions. Where no three nodes do, one holds the queue: the client gets
 * through to every node, so any of them can be it.
 */
export interface Arrangement {
  /** Numbers of the nodes that are to hold the queue. */
  seats: number[];
  /** By number of a node, the seats that it does not get through to; nodes that do are left out. */
  closed: ReadonlyMap<number, number[]>;
}

export interface ArrangeOptions {
  /** Where archives of Node.js are kept on this machine. */
  cacheFolder: string;
  signal: AbortSignal | undefined;
  onProgress: (line: string) => void;
  /** Told of a host before anything is changed there. */
  onTouch: (host: string) => void;
}

type Ports = NonNullable<ClusterRecord["ports"]>;

/** Seats are chosen among so many of the first hosts. */
const mostCandidates = 12;
const surveyWithinMs = 8_000;
/** Of nodes that are relayed anyway: a road that is open is found soon, and otherwise each `up` would take longer. */
const lookAgainWithinMs = 3_000;

/**
 * Arranges a cluster whose record has its addresses and ports. Once it has been up the seats stay where they are, and
 * whoever is relayed goes on to be until it is found to get through.
 */
export async function arrange(
  record: ClusterRecord & { ports: Ports },
  found: readonly Machine[],
  options: ArrangeOptions,
): Promise<Arrangement> {
  const nodes = record.nodes.filter(({ number }) => found.some(({ node }) => node.number === number));
  const isSeat = ({ number }: NodeRecord) => record.seats.includes(number);
  const mayChoose = record.state === "launching" || record.seats.length === 0;
  const candidates = mayChoose ? nodes.slice(0, mostCandidates) : nodes.filter(isSeat);
  const asked = mayChoose ? nodes : nodes.filter((node) => !isSeat(node));
  const isRelayed = (node: NodeRecord) => !mayChoose && node.relay !== undefined;
  const roads = await survey(record, found, { candidates, asked, isRelayed }, options);
  const seats = mayChoose ? chooseSeats(nodes.map(numberOf), candidates.map(numberOf), roads) : record.seats;
  const closed = new Map(
    record.nodes.flatMap((node) => {
      const known = isRelayed(node) ? node.relay?.seats : undefined;
      const wasTried = (seat: number) => asked.includes(node) && candidates.some(({ number }) => number === seat);
      // Of a seat that is away now, it is not known whether its machine would be reached.
      const missing = known
        ? known.filter((seat) => !wasTried(seat) || !roads.lead(node.number, seat))
        : seats.filter((seat) => !roads.lead(node.number, seat));
      return seats.includes(node.number) || missing.length === 0 ? [] : [[node.number, missing] as const];
    }),
  );
  if (seats.length < seatCount(record.nodes.length)) {
    options.onProgress(
      `no three nodes get through to each other: ${hostOf(record, seats[0]!)} alone holds the queue, and the cluster rests while it is away`,
    );
  }
  for (const { number, host, relay } of record.nodes)
    if (relay && !closed.has(number)) options.onProgress(`${host} gets through to the queue by itself now`);
  for (const [number, missing] of closed) {
    const where = missing.map((seat) => hostOf(record, seat)).join(", ");
    options.onProgress(
      `${hostOf(record, number)} does not get through to ${where}: it works while a client is connected`,
    );
  }
  return { seats, closed };
}

async function survey(
  record: ClusterRecord & { ports: Ports },
  found: readonly Machine[],
  {
    candidates,
    asked,
    isRelayed,
  }: { candidates: readonly NodeRecord[]; asked: readonly NodeRecord[]; isRelayed: (node: NodeRecord) => boolean },
  { cacheFolder, signal, onProgress, onTouch }: ArrangeOptions,
): Promise<Roads> {
  const { id, ports } = record;
  const roads = new Roads(ports);
  // Who may come to be one of three.
  const chosen = seatCount(record.nodes.length) === 3 ? candidates.filter((node) => asked.includes(node)) : [];
  const besides = (nodes: readonly NodeRecord[], { number }: NodeRecord) =>
    nodes.filter((each) => each.number !== number);
  const taking = found.flatMap(({ connection, probe, node: { number } }) => {
    const node = record.nodes.find((each) => each.number === number)!;
    const listen = [
      ...(candidates.includes(node) ? [{ port: ports.client, callers: besides(asked, node).length }] : []),
      ...(chosen.includes(node) ? [{ port: ports.cluster, callers: besides(chosen, node).length }] : []),
    ];
    const to = (port: number) => (target: NodeRecord) => ({
      host: addressOf(target),
      port,
      name: String(target.number),
    });
    const dial = [
      ...(asked.includes(node) ? besides(candidates, node).map(to(ports.client)) : []),
      ...(chosen.includes(node) ? besides(chosen, node).map(to(ports.cluster)) : []),
    ];
    return listen.length + dial.length > 0 ? [{ node, connection, probe, listen, dial }] : [];
  });
  if (asked.length === 0) return roads;
  // All begin at about the same time, however long this takes on some of them.
  await Promise.all(
    taking.map(async ({ node, connection, probe }) => {
      if (probe.nodePaths.length > 0) return;
      const options = { id, cacheFolder, signal, onProgress, onTouch: () => onTouch(node.host) };
      probe.nodePaths.push(await installNode(connection, probe, options));
    }),
  );
  await Promise.all(
    taking.map(async ({ node, connection, probe, listen, dial }) => {
      const options = { id, nodePath: probe.nodePaths[0]!, signal };
      const isAgain = dial.length > 0 ? isRelayed(node) : asked.every(isRelayed);
      const withinMs = isAgain ? lookAgainWithinMs : surveyWithinMs;
      const missing = await surveyFrom(connection, { listen, dial, withinMs }, options);
      for (const { name, port } of missing) roads.close(node.number, Number(name), port);
    }),
  );
  return roads;
}

function numberOf({ number }: NodeRecord): number {
  return number;
}

function hostOf({ nodes }: ClusterRecord, number: number): string {
  return nodes.find((node) => node.number === number)?.host ?? `node ${number}`;
}
