import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeFrame, encodeFrame } from "../../runtime/protocol/frame.ts";
import {
  type Outcome,
  packCount,
  packOutcomes,
  packValues,
  slicePack,
  unpackOutcomes,
  unpackValues,
} from "../../runtime/protocol/pack.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { random } from "../support/storm.ts";

/** The most entries a pack may have. */
const maxPackCount = 100_000;
const u32 = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);
const bytes = (text: string) => Buffer.from(text);
const plain = (each: Uint8Array) => Buffer.from(each).toString("latin1");

/** The code a reader gave up with, or `read`. Any other class of error fails the test. */
function outcomeOf(read: () => unknown): string {
  try {
    read();
    return "read";
  } catch (thrown) {
    if (!(thrown instanceof FarcallError)) throw thrown;
    return thrown.code;
  }
}

describe("a frame", () => {
  test("gives back its header and body, whatever they hold", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.uint8Array(), (header, body) => {
        const frame = decodeFrame(encodeFrame(header, body));
        expect(frame.header).toEqual(JSON.parse(JSON.stringify(header)));
        expect(plain(frame.body)).toBe(plain(body));
      }),
    );
  });

  test("is read from the middle of a larger buffer", () => {
    const frame = encodeFrame({ type: "x" }, bytes("body"));
    const larger = Buffer.concat([bytes("before"), frame, bytes("after")]);
    const { header, body } = decodeFrame(new Uint8Array(larger.buffer, larger.byteOffset + 6, frame.byteLength));
    expect(header).toEqual({ type: "x" });
    expect(plain(body)).toBe("body");
  });

  test("whose header is over the limit is not made", () => {
    const header = (size: number) => ({ text: "x".repeat(size - '{"text":""}'.length) });
    const limit = 1024 * 1024;
    expect(decodeFrame(encodeFrame(header(limit))).header).toEqual(header(limit));
    expect(outcomeOf(() => encodeFrame(header(limit + 1)))).toBe("value.too-large");
    expect(outcomeOf(() => encodeFrame({ text: "é".repeat(limit / 2) }))).toBe("value.too-large");
  });

  test.each<[string, Uint8Array]>([
    ["nothing", bytes("")],
    ["less than a length", Buffer.of(1, 0, 0)],
    ["a length alone", u32(1)],
    ["a length over the limit", Buffer.concat([u32(2 ** 20 + 1), Buffer.alloc(2 ** 20 + 1, 0x20)])],
    ["the largest length", Buffer.concat([u32(0xffff_ffff), bytes("{}")])],
    ["a length over what there is", Buffer.concat([u32(3), bytes("{}")])],
    ["an empty header", u32(0)],
    ["a header that is no JSON", Buffer.concat([u32(2), bytes("{]")])],
    ["a header that is an array", Buffer.concat([u32(2), bytes("[]")])],
    ["a header that is null", Buffer.concat([u32(4), bytes("null")])],
    ["a header that is a text", Buffer.concat([u32(3), bytes('"a"')])],
    ["a header nested half a million levels deep", Buffer.concat([u32(500_000), Buffer.alloc(500_000, "[")])],
  ])("is not read from %s", (_what, frame) => {
    expect(outcomeOf(() => decodeFrame(frame))).toBe("protocol.invalid");
  });

  test("whose header has a key __proto__ changes no prototype", () => {
    const text = '{"__proto__":{"polluted":true},"type":"x"}';
    const { header } = decodeFrame(Buffer.concat([u32(text.length), bytes(text)]));
    expect(Object.getPrototypeOf(header)).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe("a pack of values", () => {
  test("gives back its values in order, and any slice of them", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), fc.nat(), fc.nat(), (values, a, b) => {
        const pack = packValues(values);
        expect(packCount(pack)).toBe(values.length);
        expect(unpackValues(pack).map(plain)).toEqual(values.map(plain));
        const [from, to] = [Math.min(a, b), Math.max(a, b)].map((each) => each % (values.length + 1)) as [
          number,
          number,
        ];
        expect(unpackValues(slicePack(pack, from, to)).map(plain)).toEqual(values.slice(from, to).map(plain));
      }),
    );
  });

  test.each<[string, Uint8Array]>([
    ["nothing", bytes("")],
    ["less than a count", Buffer.of(1, 0)],
    ["a count without its table", u32(3, 1)],
    ["more entries than a pack may have", Buffer.concat([u32(maxPackCount + 1), Buffer.alloc(4 * maxPackCount + 4)])],
    ["the largest count", u32(0xffff_ffff)],
    ["an entry that reaches over its end", Buffer.concat([u32(1, 3), bytes("ab")])],
    ["an entry of the largest length", Buffer.concat([u32(1, 0xffff_ffff), bytes("ab")])],
    ["lengths whose sum overflows", Buffer.concat([u32(2, 0xffff_fffe, 4), bytes("ab")])],
    ["bytes behind its last entry", Buffer.concat([u32(1, 1), bytes("ab")])],
    ["bytes behind none", u32(0, 0)],
  ])("is not read from %s", (_what, pack) => {
    expect(outcomeOf(() => unpackValues(pack))).toBe("protocol.invalid");
  });
});

describe("a pack of outcomes", () => {
  const outcome = fc.record({
    ok: fc.boolean(),
    attempts: fc.integer({ min: 0, max: 0x7fff_ffff }),
    bytes: fc.uint8Array({ maxLength: 40 }),
  });
  const plainly = (outcomes: readonly Outcome[]) => outcomes.map((each) => ({ ...each, bytes: plain(each.bytes) }));

  test("gives back its outcomes: kind, attempts and bytes", () => {
    fc.assert(
      fc.property(fc.array(outcome), (outcomes) => {
        const pack = packOutcomes(outcomes);
        expect(packCount(pack)).toBe(outcomes.length);
        expect(plainly(unpackOutcomes(pack))).toEqual(plainly(outcomes));
      }),
    );
  });

  test.each<[string, Uint8Array]>([
    ["nothing", bytes("")],
    ["a count without its table", u32(1, 0)],
    ["an entry that reaches over its end", Buffer.concat([u32(1, 3, 1), bytes("ab")])],
    ["bytes behind its last entry", Buffer.concat([u32(1, 1, 1), bytes("ab")])],
  ])("is not read from %s", (_what, pack) => {
    expect(outcomeOf(() => unpackOutcomes(pack))).toBe("protocol.invalid");
  });
});

test("damaged bytes are read or refused, and nothing else happens", () => {
  const next = random(20_240_607);
  const below = (limit: number) => Math.floor(next() * limit);
  const values = Array.from({ length: 20 }, (_, i) => Buffer.alloc(i, i));
  const outcomes = values.map((each, i) => ({ ok: i % 3 > 0, attempts: i, bytes: each }));
  const seeds = [
    { whole: encodeFrame({ type: "map.add", id: 7, chunks: [{ lo: 0, count: 3 }] }, values[9]), read: decodeFrame },
    { whole: packValues(values), read: unpackValues },
    { whole: packOutcomes(outcomes), read: unpackOutcomes },
    { whole: packValues(values), read: packCount },
  ];
  const seen = new Set<string>();
  for (let round = 0; round < 20_000; round++) {
    const { whole, read } = seeds[round % seeds.length]!;
    let damaged: Buffer = Buffer.from(whole);
    for (let changes = 1 + below(3); changes > 0; changes--) {
      const at = below(damaged.length);
      const kind = below(5);
      if (kind === 0) damaged[at] = below(256);
      else if (kind === 1) damaged = damaged.subarray(0, at);
      else if (kind === 2) damaged = Buffer.concat([damaged, damaged.subarray(at)]);
      else if (kind === 3) damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(at + below(8))]);
      else if (damaged.length >= 4)
        damaged.writeUInt32LE([0, 1, 0x7fff_ffff, 0xffff_ffff][below(4)]!, below(damaged.length - 3));
      if (damaged.length === 0) break;
    }
    seen.add(outcomeOf(() => read(damaged)));
  }
  expect([...seen].sort()).toEqual(["protocol.invalid", "read"]);
});
