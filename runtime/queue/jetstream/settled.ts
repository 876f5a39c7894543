/**
 * What became of a chunk, as a message of the stream of outcomes. The header says it all but the bodies, so that
 * readers of headers know counts, ranges, where each body lies, and which children were split off.
 *
 * The parts follow one another from the chunk's first index. Numbers are base 36: `count.errors.bytes` is a
 * result, `count+deaths` a child.
 */
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import { FarcallError } from "../../spec/errors.ts";
import type { ResultRange, Settlement } from "../mapQueue.ts";
import { type BlobRef, blobOf, setBlob } from "./blobs.ts";
import type { ChunkName } from "./work.ts";

interface SettledResult {
  lo: number;
  count: number;
  errors: number;
  /** Where its body begins among all of the chunk. */
  at: number;
  bytes: number;
}

export interface SettledChild {
  lo: number;
  count: number;
  deaths: number;
}

export interface Settled extends ChunkName {
  count: number;
  results: SettledResult[];
  children: SettledChild[];
  blob: BlobRef | undefined;
  /** Names the settlement among all that were tried for the chunk. */
  nonce: string;
  /** In whose name, if in anybody's. */
  by: string | undefined;
}

/** The broker allows 64 KiB of headers. */
const maxPartsLength = 60_000;
const radix = 36;

/** The results in their order, as the bodies of a settlement lie one behind the other. */
export function inOrder({ results }: Settlement): ResultRange[] {
  return results.toSorted((a, b) => a.lo - b.lo);
}

export function describe(name: ChunkName, settlement: Settlement, nonce: string, blob: BlobRef | undefined): Settled {
  let at = 0;
  const results = inOrder(settlement).map(({ lo, count, errors, body }) => {
    const result = { lo, count, errors, at, bytes: body.byteLength };
    at += body.byteLength;
    return result;
  });
  const children = settlement.children
    .map(({ lo, count, deaths = 0 }) => ({ lo, count, deaths }))
    .sort((a, b) => a.lo - b.lo);
  const count = [...results, ...children].reduce((sum, part) => sum + part.count, 0);
  return { lo: name.lo, depth: name.depth, count, results, children, blob, nonce, by: settlement.by };
}

export function settledHeaders({ results, children, nonce, blob, by }: Settled): MsgHdrs {
  const text = (n: number): string => n.toString(radix);
  const parts = [
    ...results.map(({ lo, count, errors, bytes }) => ({ lo, text: `${text(count)}.${text(errors)}.${text(bytes)}` })),
    ...children.map(({ lo, count, deaths }) => ({ lo, text: `${text(count)}+${text(deaths)}` })),
  ];
  const line = parts
    .sort((a, b) => a.lo - b.lo)
    .map((part) => part.text)
    .join(",");
  if (line.length > maxPartsLength) {
    throw new FarcallError("value.too-large", `A chunk cannot be settled in ${parts.length} parts at once.`, {
      hint: "Cut chunks into fewer inputs.",
    });
  }
  const head = headers();
  head.set("Parts", line);
  head.set("Nonce", nonce);
  // A header takes one line of printable characters.
  if (by !== undefined) head.set("By", encodeURIComponent(by));
  if (blob) setBlob(head, blob);
  return head;
}

/** Reads what `settledHeaders` wrote; `token` is the last of the subject. Undefined for what is no outcome. */
export function readSettled(token: string, head: MsgHdrs | undefined): Settled | undefined {
  const [first, depth] = token.split("-").map(Number);
  const line = head?.get("Parts");
  if (!line || !Number.isSafeInteger(first) || !Number.isSafeInteger(depth)) return undefined;
  const results: SettledResult[] = [];
  const children: SettledChild[] = [];
  let lo = first!;
  let at = 0;
  for (const part of line.split(",")) {
    const [count, ...rest] = part.split(/[.+]/).map((digits) => Number.parseInt(digits, radix)) as [
      number,
      ...number[],
    ];
    if (part.includes("+")) {
      children.push({ lo, count, deaths: rest[0]! });
    } else {
      results.push({ lo, count, errors: rest[0]!, at, bytes: rest[1]! });
      at += rest[1]!;
    }
    lo += count;
  }
  const nonce = head?.get("Nonce") ?? "";
  const by = head?.has("By") ? decodeURIComponent(head.get("By")) : undefined;
  return { lo: first!, depth: depth!, count: lo - first!, results, children, blob: blobOf(head), nonce, by };
}
