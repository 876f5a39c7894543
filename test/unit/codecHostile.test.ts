import { afterEach, describe, expect, test } from "vitest";
import { decodeError, decodeValue, encodeError, encodeValue } from "../../runtime/protocol/codec.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";

const blobMinBytes = 32 * 1024;
const ascii = (text: string) => Buffer.from(text, "latin1");
const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
const builtInKeys = () => [Object, Array, Error, Map].map(({ prototype }) => Reflect.ownKeys(prototype).length);
const cleanKeys = builtInKeys();

/** The code the decoder gave up with, or `decoded`. Any other class of error fails the test. */
function outcomeOf(bytes: Uint8Array): string {
  try {
    decodeValue(bytes);
    return "decoded";
  } catch (thrown) {
    if (!(thrown instanceof FarcallError)) throw thrown;
    return thrown.code;
  }
}

afterEach(() => {
  expect(builtInKeys()).toEqual(cleanKeys);
});

test.each<[string, Uint8Array]>([
  ["no bytes", ascii("")],
  ["an unknown format", ascii("q1")],
  ["a tag alone", ascii("j")],
  ["a rich tag alone", ascii("d")],
  ["bytes behind undefined", ascii("u1")],
  ["broken JSON", ascii('j{"a":')],
  ["two JSON values", ascii("j1 2")],
  ["bytes that are no UTF-8 outside strings", Buffer.from([0x6a, 0xff, 0xfe])],
  ["an own key __proto__", ascii('j{"a":[{"__proto__":{"x":1}}]}')],
  ["an escaped key __proto__", ascii('j{"\\u005f_proto_\\u005F":{"x":1}}')],
  ["a rich key __proto__", ascii('d[{"__proto__":1},{"x":2},1]')],
  ["a key __proto__ of a bare object", ascii('d[["null","__proto__",1],{"x":2},1]')],
  ["a key __proto__ among the fields of an Error", ascii('d[["Error",1],{"own":2},{"__proto__":3},{"x":4},1]')],
  ["a RegExp", ascii('d[["RegExp","(a+)+$"]]')],
  ["a boxed primitive", ascii('d[["Object",1],"text"]')],
  ["a Temporal value", ascii('d[["Temporal.Instant","2020-01-01T00:00:00Z"]]')],
  ["an unknown tag", ascii('d[["Refusal",1],{"why":2},"x"]')],
  ["a tag named like a property of every object", ascii('d[["constructor",1],1]')],
  ["a reference behind the end", ascii("d[[5]]")],
  ["a sentinel of its own with no meaning", ascii("d7")],
  ["an object in place of the list", ascii("d{}")],
  ["an Error that is its own payload", ascii('d[["Error",0]]')],
  ["an Error without fields", ascii('d[["Error",1],5]')],
  ["a view of itself", ascii('d[["Uint8Array",0]]')],
  ["a view of a number", ascii('d[["Uint8Array",1],4000000000]')],
  ["a view behind the end of its buffer", ascii('d[["Uint8Array",1,0,4000000000],["ArrayBuffer","AAAA"]]')],
  ["a buffer of a length", ascii('d[["ArrayBuffer",1],4000000000]')],
  ["a Buffer of a number", ascii('d[["Buffer",1],4000000000]')],
  ["a Buffer of text", ascii('d[["Buffer",1],"text"]')],
  ["a blob that is not there", ascii('d[["ArrayBuffer",1],{"blob":2},0]')],
  ["a blob named by a property of every array", ascii('d[["ArrayBuffer",1],{"blob":2},"length"]')],
  ["a BigInt of other text", ascii('d[["BigInt","0x10"]]')],
  ["a BigInt of two million digits", ascii(`d[["BigInt","${"9".repeat(2_000_000)}"]]`)],
  ["a date of a list", ascii('d[["Date",[1]]]')],
  ["no URL", ascii('d[["URL","nowhere"]]')],
  ["a sparse array of four billion", ascii("d[[-7,4294967295]]")],
])("bytes that hold %s are refused", (_, bytes) => {
  expect(outcomeOf(bytes)).toBe("value.invalid");
  expect(decodeError(bytes)).toMatchObject({ code: "value.invalid" });
});

describe("blobs", () => {
  const text = ascii('[["ArrayBuffer",1],{"blob":2},0]');
  const frame = (...parts: Uint8Array[]) => Buffer.concat([ascii("b"), ...parts]);
  test("that are as they claim are decoded", () => {
    expect(decodeValue(frame(u32(text.length), text, u32(1), u32(2), ascii("ab")))).toEqual(
      Uint8Array.of(97, 98).buffer,
    );
  });

  test.each<[string, Uint8Array]>([
    ["no text length", frame(ascii("ab"))],
    ["a text of 4 GiB", frame(u32(0xffff_ffff), text, u32(0))],
    ["no count", frame(u32(text.length), text)],
    ["four billion blobs", frame(u32(text.length), text, u32(0xffff_ffff), u32(2), ascii("ab"))],
    ["70,000 blobs of nothing", frame(u32(text.length), text, u32(70_000), Buffer.alloc(4 * 70_000))],
    ["a blob of 4 GiB", frame(u32(text.length), text, u32(1), u32(0xffff_ffff), ascii("ab"))],
    ["a blob too few", frame(u32(text.length), text, u32(2), u32(4), ascii("abcd"))],
    ["a byte too many", frame(u32(text.length), text, u32(1), u32(2), ascii("abc"))],
  ])("with %s are refused", (_, bytes) => {
    expect(outcomeOf(bytes)).toBe("value.invalid");
  });

  test("asked for a million times are copied once", () => {
    const many = 100_000;
    const lists = Array.from({ length: many }, () => '["ArrayBuffer",1]').join(",");
    const list = ascii(`[[${Array.from({ length: many }, (_, i) => i + 3).join(",")}],{"blob":2},0,${lists}]`);
    const blob = Buffer.alloc(1024 * 1024);
    const value = decodeValue(frame(u32(list.length), list, u32(1), u32(blob.length), blob)) as ArrayBuffer[];
    expect(new Set(value).size).toBe(1);
  });
});

describe("a bomb", () => {
  const levels = 1_000_000;
  /** `length` entries, each of which refers to the next. */
  const chain = (length: number) => ascii(`d[${Array.from({ length }, (_, i) => `[${i + 1}]`).join(",")},1]`);
  /** The same from the last to the first. */
  const backwards = (length: number) =>
    ascii(`d[[${length}],1,${Array.from({ length: length - 1 }, (_, i) => `[${i + 1}]`).join(",")}]`);
  test.each<[string, Uint8Array]>([
    ["201 levels of JSON", ascii(`j${"[".repeat(201)}${"]".repeat(201)}`)],
    ["a million levels of arrays", ascii(`j${"[".repeat(levels)}${"]".repeat(levels)}`)],
    ["a million levels of objects", ascii(`j${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`)],
    ["a million levels in rich text", ascii(`d${"[".repeat(levels)}${"]".repeat(levels)}`)],
    ["a chain of 1,005 references", chain(1005)],
    ["a chain of 20,000 references", chain(20_000)],
    ["a chain of 1,005 that runs backwards", backwards(1005)],
    [
      "a chain of Errors",
      ascii(
        `d[${Array.from({ length: 9000 }, (_, i) => `["Error",${2 * i + 1}],{"cause":${2 * i + 2}}`).join(",")},1]`,
      ),
    ],
    [
      "a chain of sparse arrays",
      ascii(`d[${Array.from({ length: 9000 }, (_, i) => `[-7,1,0,${i + 1}]`).join(",")},1]`),
    ],
    ["a chain of Maps", ascii(`d[${Array.from({ length: 9000 }, (_, i) => `["Map",-1,${i + 1}]`).join(",")},1]`)],
    ["eleven million arrays in 33 MB", ascii(`j[${"[],".repeat(11_000_000)}0]`)],
  ])("of %s is refused", (_, bytes) => {
    expect(outcomeOf(bytes)).toBe("value.invalid");
  });

  test("of just fewer references is none", () => {
    expect([chain(1000), backwards(1000)].map(outcomeOf)).toEqual(["decoded", "decoded"]);
  });

  test("of brackets in a string is a string", () => {
    const text = `"\\${"[{".repeat(1000)}\\\\`;
    expect(decodeValue(encodeValue([text]))).toEqual([text]);
  });
});

test("what may not be sent for its number of values is refused on the way out", () => {
  const refused = (value: unknown) => {
    try {
      encodeValue(value);
      return "encoded";
    } catch (thrown) {
      return thrown instanceof FarcallError ? thrown.code : "another error";
    }
  };
  expect(refused(Array.from({ length: 5 }, () => Array.from({ length: 2_100_000 }, () => 1)))).toBe("value.too-large");
});

test("a result with a key then comes back as data", () => {
  for (const bytes of [ascii('j{"then":{"x":1}}'), ascii('d[{"then":1},{"x":2},1]')]) {
    expect(Object.entries(decodeValue(bytes) as object)).toEqual([["then", { x: 1 }]]);
  }
});

test("an Error gets neither constructor, then nor setters from the wire", () => {
  const own = '{"then":4,"constructor":4,"stack":4,"toString":4,"x":4}';
  const error = decodeValue(ascii(`d[["Error",1],{"name":2,"message":3,"own":5},"Function","m",7,${own}]`)) as Error;
  expect(Object.getPrototypeOf(error)).toBe(Error.prototype);
  expect(error.name).toBe("Function");
  expect(error.stack).toBe("Function: m");
  expect(Object.keys(error)).toEqual(["toString", "x"]);
});

test("50,000 damaged frames give data or value.invalid, and change nothing", () => {
  const shared = { a: new Date(0) };
  const cyclic: Record<string, unknown> = {
    shared,
    again: shared,
    bare: Object.assign(Object.create(null), { k: 1n }),
  };
  cyclic["self"] = cyclic;
  const sparse: unknown[] = [];
  sparse[5000] = -0;
  const seeds = [
    encodeValue({ id: 1, name: "Ada", tags: ["x", "y\n\u00e9"], nested: { ok: true, none: null } }),
    encodeValue(cyclic),
    encodeValue([
      new Map([[1, new Set(["a"])]]),
      new URL("https://a.example/"),
      new URLSearchParams("a=1"),
      sparse,
      Number.NaN,
    ]),
    encodeValue([
      Float64Array.of(1, 2),
      Buffer.from("abc"),
      new DataView(new ArrayBuffer(8)),
      new Uint16Array(9).subarray(2, 4),
    ]),
    encodeValue(Uint8Array.of(1, 2, 3, 4)),
    encodeError(
      Object.assign(new AggregateError([new TypeError("a")], "all", { cause: cyclic }), { code: "E", self: cyclic }),
    ),
    encodeValue({ a: Buffer.alloc(blobMinBytes, 1), b: new Uint8Array(8) }).subarray(0, 200),
  ];
  const pieces = [
    "__proto__",
    '"then"',
    "constructor",
    '["Error",',
    '["Object",',
    '["RegExp",',
    "[-7,",
    "-1",
    "99999999",
    "{",
    "[",
    "\\u005f",
    "null",
    "Buffer",
  ].map(ascii);
  const random = mulberry32(20261122);
  const pick = (limit: number) => Math.floor(random() * limit);
  const outcomes = new Map<string, number>();
  for (let round = 0; round < 50_000; round++) {
    let frame = Buffer.from(seeds[pick(seeds.length)]!);
    for (let edits = 1 + pick(4); edits > 0; edits--) {
      const at = pick(frame.length + 1);
      const kind = pick(5);
      if (kind === 0 && at < frame.length) frame[at] = pick(256);
      else if (kind === 1 && at < frame.length) frame[at] = frame[at]! ^ (1 << pick(3));
      else if (kind === 2) frame = frame.subarray(0, at);
      else if (kind === 3)
        frame = Buffer.concat([frame.subarray(0, at), pieces[pick(pieces.length)]!, frame.subarray(at + pick(12))]);
      else if (at < frame.length && frame[at]! >= 0x30 && frame[at]! <= 0x39) frame[at] = 0x30 + pick(10);
    }
    const outcome = outcomeOf(frame);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (Reflect.get({}, "x") !== undefined || Reflect.get({}, "then") !== undefined)
      throw new Error(`round ${round} polluted`);
  }
  expect([...outcomes.keys()].sort()).toEqual(["decoded", "value.invalid"]);
  // Were nearly all frames refused at once, the run would show nothing about the rest of the decoder.
  expect(outcomes.get("decoded")).toBeGreaterThan(2000);
});

/** A small generator of numbers in [0, 1), so that a failure can be repeated: the same seed, the same frames. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
