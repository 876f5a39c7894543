import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeError, decodeValue, encodeError, encodeValue } from "../../runtime/protocol/codec.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";

const blobMinBytes = 32 * 1024;
const roundTrip = (value: unknown) => decodeValue(encodeValue(value));
const tagOf = (bytes: Uint8Array) => String.fromCharCode(bytes[0]!);
/** Not written out as a key: an object that could be awaited by mistake is what linters warn of. */
const then = "then";
const cast = <T>(value: unknown) => value as T;

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof FarcallError) return `${thrown.code} ${thrown.message}`;
    throw thrown;
  }
  return "nothing thrown";
}

class Point {
  x = 1;
}

describe("the wire", () => {
  test.each<[unknown, string]>([
    [undefined, "u"],
    [null, "jnull"],
    [true, "jtrue"],
    [1.5, "j1.5"],
    ["é", 'j"é"'],
    ["\ud800", 'j"\\ud800"'],
    [{ a: [1, "b", null] }, 'j{"a":[1,"b",null]}'],
    [Number.NaN, "d-3"],
    [Number.POSITIVE_INFINITY, "d-4"],
    [-0, "d-6"],
    [12n, 'd[["BigInt","12"]]'],
    [{ a: undefined }, 'd[{"a":-1}]'],
    [[1, undefined, -0], "d[[1,-1,-6],1]"],
    [Object.assign(Object.create(null), { a: 1 }), 'd[["null","a",1],1]'],
    [new Date(0), 'd[["Date","1970-01-01T00:00:00.000Z"]]'],
    [new Map([["k", new Set([1])]]), 'd[["Map",1,2],"k",["Set",3],1]'],
    [new URL("https://a.example/b"), 'd[["URL","https://a.example/b"]]'],
    [{ toJSON: 1 }, 'd[{"toJSON":1},1]'],
    [[Uint8Array.of(1, 2)], 'd[[1],["Uint8Array",2],["ArrayBuffer","AQI="]]'],
    [[Buffer.from("ab")], 'd[[1],["Buffer",2],["ArrayBuffer","YWI="]]'],
    [
      Object.assign(new TypeError("no", { cause: 1 }), { stack: "S", code: "E" }),
      'd[["Error",1],{"name":2,"message":3,"stack":4,"cause":5,"own":6},"TypeError","no","S",1,{"code":7},"E"]',
    ],
  ])("%o is written as %s", (value, wire) => {
    expect(Buffer.from(encodeValue(value)).toString()).toBe(wire);
  });

  test("a lone Uint8Array is written raw behind the text that describes it", () => {
    const text = '[["Uint8Array",1],["ArrayBuffer",2],{"blob":3},0]';
    const head = Buffer.concat([Buffer.from("b"), Buffer.from([text.length, 0, 0, 0]), Buffer.from(text)]);
    expect(Buffer.from(encodeValue(Uint8Array.of(7, 8)))).toEqual(
      Buffer.concat([head, Buffer.from([1, 0, 0, 0, 2, 0, 0, 0, 7, 8])]),
    );
  });

  test("a binary leaf leaves the text from 32 KiB on", () => {
    expect(tagOf(encodeValue({ a: new Uint8Array(blobMinBytes - 1) }))).toBe("d");
    const raw = encodeValue({ a: new Uint8Array(blobMinBytes) });
    expect(tagOf(raw)).toBe("b");
    expect(raw.byteLength).toBeLessThan(blobMinBytes + 100);
  });

  test("JSON carries 200 levels, and what is deeper, shared or cyclic travels as entries", () => {
    const nest = (levels: number) => Array.from({ length: levels - 1 }).reduce<unknown[]>((inner) => [inner], []);
    expect(tagOf(encodeValue(nest(200)))).toBe("j");
    expect(tagOf(encodeValue(nest(201)))).toBe("d");
    const shared = {};
    expect(tagOf(encodeValue([shared, shared]))).toBe("d");
  });

  test("objects that share objects through 60 levels are encoded in an instant", () => {
    let graph: unknown = [];
    for (let i = 0; i < 60; i++) graph = [graph, graph];
    expect(encodeValue(graph).byteLength).toBeLessThan(2000);
  });

  test("a view takes its own bytes along and not those around it", () => {
    const pool = Buffer.from(`secret${"x".repeat(100_000)}`);
    for (const part of [pool.subarray(6, 20), pool.subarray(6, 40_000)]) {
      for (const value of [part, { part }, new Uint8Array(part.buffer, part.byteOffset, part.byteLength)]) {
        const bytes = encodeValue(value);
        expect(Buffer.from(bytes).includes("secret")).toBe(false);
        expect(bytes.byteLength).toBeLessThan(part.byteLength + 200);
      }
    }
  });
});

describe("the round trip", () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => i * 3);
  const big = Uint8Array.from({ length: blobMinBytes + 8 }, (_, i) => i);
  const views = [
    "Int8Array",
    "Uint8Array",
    "Uint8ClampedArray",
    "Int16Array",
    "Uint16Array",
    "Float16Array",
    "Int32Array",
    "Uint32Array",
    "Float32Array",
    "Float64Array",
    "BigInt64Array",
    "BigUint64Array",
    "DataView",
  ].flatMap((name) => {
    const View =
      cast<Record<string, new (buffer: ArrayBuffer, at?: number, length?: number) => unknown>>(globalThis)[name];
    if (!View) return [];
    return [
      new View(bytes.slice().buffer),
      new View(bytes.slice().buffer, 8, 4),
      new View(big.slice().buffer),
      new View(new ArrayBuffer(0)),
    ];
  });

  test.each<[string, unknown]>([
    ["numbers", [0, -0, 1.5, Number.NaN, Infinity, -Infinity, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 53]],
    ["strings", ["", "é", "😀", "\0\u2028<", "\ud800", "a\udc00b", "__proto__", "\\u005f_proto__"]],
    ["a key with a lone surrogate", { "\ud800": 1 }],
    ["dates", [new Date(0), new Date(Number.NaN), new Date(8.64e15)]],
    [
      "maps and sets",
      new Map<unknown, unknown>([
        [{ a: 1 }, new Set([1, new Map()])],
        [Number.NaN, undefined],
      ]),
    ],
    ["BigInts", [0n, -1n, 2n ** 64n, -(10n ** 500n)]],
    ["URLs", [new URL("https://u:p@a.example:81/b?c#d"), new URLSearchParams("a=1&a=2")]],
    ["lone views", Float64Array.of(1, -0, Number.NaN)],
    ["array buffers", [bytes.slice().buffer, big.slice().buffer, new ArrayBuffer(0)]],
    ["undefined fields", { a: undefined, b: [undefined] }],
    ["odd keys", { constructor: 1, hasOwnProperty: 2, toString: 3, "": 4, "a.b": 5, [then]: 6, toJSON: 7 }],
    ["a null prototype", Object.assign(Object.create(null), { a: Object.create(null) })],
  ])("%s come back as they were", (_, value) => {
    expect(roundTrip(value)).toStrictEqual(value);
  });

  test.each(views.map((view) => [Object.prototype.toString.call(view), view] as const))(
    "a %s comes back alone and in a list",
    (_, view) => {
      expect(isDeepStrictEqual([roundTrip(view), roundTrip([view])], [view, [view]])).toBe(true);
    },
  );

  test.each([0, 1, 5, blobMinBytes - 1, blobMinBytes, 100_000])(
    "a Buffer of %i bytes comes back as a Buffer",
    (length) => {
      const buffer = Buffer.alloc(length, "abc");
      for (const back of [roundTrip(buffer), cast<Buffer[]>(roundTrip([buffer]))[0]]) {
        expect(Buffer.isBuffer(back) && back.equals(buffer)).toBe(true);
      }
    },
  );

  test("a view of shared memory comes back as a view of memory of its own", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(9);
    expect(roundTrip([shared])).toStrictEqual([Uint8Array.of(9, 9, 9, 9)]);
  });

  test("sparse arrays keep their holes and their length", () => {
    const few = [1, , 3]; // oxlint-disable-line no-sparse-arrays
    const back = cast<unknown[]>(roundTrip(few));
    expect([back.length, 1 in back, back[2]]).toEqual([3, false, 3]);
    const wide: unknown[] = [];
    wide[1_000_000] = "end";
    expect(encodeValue(wide).byteLength).toBeLessThan(100);
    expect(cast<unknown[]>(roundTrip(wide)).length).toBe(1_000_001);
  });

  test("cycles and shared references come back as such", () => {
    const shared = { a: 1 };
    const root: Record<string, unknown> = { x: shared, y: shared, map: new Map() };
    root["self"] = root;
    cast<Map<unknown, unknown>>(root["map"]).set(root, root);
    const back = cast<typeof root>(roundTrip(root));
    expect(back["self"]).toBe(back);
    expect(back["x"]).toBe(back["y"]);
    expect(cast<Map<unknown, unknown>>(back["map"]).get(back)).toBe(back);
  });

  test.each([10, blobMinBytes])("two views of one buffer of %i bytes still share it", (length) => {
    const buffer = new ArrayBuffer(length);
    const back = cast<{ a: Uint8Array; b: DataView }>(
      roundTrip({ a: new Uint8Array(buffer), b: new DataView(buffer) }),
    );
    back.a[3] = 77;
    expect(back.b.getUint8(3)).toBe(77);
  });

  test("symbol keys are left out, as JSON leaves them out", () => {
    expect(roundTrip({ a: 1, [Symbol("s")]: 2, b: new Date(0) })).toStrictEqual({ a: 1, b: new Date(0) });
  });

  test("any JSON value comes back", () => {
    const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes("__proto__"));
    fc.assert(fc.property(json, (value) => isDeepStrictEqual(roundTrip(value), value)));
  });

  test("any structured value comes back with its types", () => {
    const options = {
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
      withNullPrototype: true,
      maxDepth: 4,
      key: fc.string().filter((key) => key !== "__proto__"),
    };
    fc.assert(
      fc.property(
        fc.anything({
          ...options,
          values: [
            fc.integer(),
            fc.double(),
            fc.string({ unit: "binary" }),
            fc.boolean(),
            fc.constantFrom(null, undefined, -0),
          ],
        }),
        (value) => {
          expect(roundTrip(value)).toStrictEqual(value);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("999 levels of references are carried, and one more than 1,000 is refused on the way out", () => {
    const chain = (levels: number) => {
      let node: Record<string, unknown> = { end: undefined };
      for (let i = 1; i < levels; i++) node = { next: node };
      return node;
    };
    expect(encodeValue(roundTrip(chain(999)))).toEqual(encodeValue(chain(999)));
    const refused = codeOf(() => encodeValue(chain(1001)));
    expect(refused).toMatch(/^value\.unserializable .*\$\.next\.next.*… is nested more than 1000 levels/);
    expect(refused.length).toBeLessThan(500);
    expect(codeOf(() => encodeValue(chain(100_000)))).toMatch(/^value\.unserializable/);
  });
});

describe("a value that cannot be sent", () => {
  const throwing = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error("trap");
      },
    },
  );
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  test.each<[unknown, string]>([
    [() => 1, "$ is a function"],
    [{ rows: [0, 1, 2, { callback: () => 1 }] }, "$.rows[3].callback is a function"],
    [{ [then]: () => 1 }, "$.then is a function"],
    [{ toJSON: () => 1 }, "$.toJSON is a function"],
    [[Symbol("s")], "$[0] is a symbol"],
    [new Map([["k", new Point()]]), '$.get("k") is an instance of Point, not plain data'],
    [{ "a b": new (class extends Map {})() }, '$["a b"] is an instance of Map'],
    [new (class Rows extends Array {})(), "$ is an instance of Rows"],
    [{ p: Promise.resolve(1) }, "$.p is a promise"],
    [{ w: new WeakMap() }, "$.w is an instance of WeakMap"],
    [{ r: /a/g }, "$.r is a RegExp"],
    [{ n: Object(1) }, "$.n is an instance of Number"],
    [
      {
        g: (function* () {
          yield 1;
        })(),
      },
      "$.g is an instance of Generator",
    ],
    [{ i: [1].values() }, "$.i is an instance of Iterator"],
    [{ m: new SharedArrayBuffer(1) }, "$.m is an instance of SharedArrayBuffer"],
    [{ a: Object.create({ inherited: 1 }) }, "$.a is an instance of Object"],
    [{ a: JSON.parse('{"__proto__":1}') }, "$.a has an own key __proto__"],
    [
      {
        a: {
          get b() {
            throw new Error("boom");
          },
        },
      },
      '$.a.b cannot be read: its getter threw "boom"',
    ],
    [{ p: throwing }, "$.p is a proxy"],
    [[revoked.proxy], "$[0] is a proxy"],
    [{ a: [Object.create(Date.prototype)] }, "Cannot send the value"],
    [{ a: 7n ** 2_000_000n }, "$.a is a BigInt"],
    [{ a: Object.assign([], { length: 4_000_000_000 }) }, "$.a is an array of more than 10000000 elements"],
  ])("%# is refused with its path", (value, message) => {
    const thrown = codeOf(() => encodeValue(value));
    expect(thrown).toContain("value.unserializable");
    expect(thrown).toContain(message);
  });

  test("a value over the limit is refused both ways, at the byte", () => {
    for (const value of [
      "x".repeat(97),
      "é".repeat(60),
      { d: new Date(0), s: "x".repeat(60) },
      new Uint8Array(100),
      [new Uint8Array(40_000)],
    ]) {
      const bytes = encodeValue(value);
      const [enough, tooFew] = [{ limitBytes: bytes.byteLength }, { limitBytes: bytes.byteLength - 1 }];
      expect(isDeepStrictEqual(decodeValue(encodeValue(value, enough), enough), value)).toBe(true);
      expect(codeOf(() => encodeValue(value, tooFew))).toMatch(/^value\.too-large/);
      expect(codeOf(() => decodeValue(bytes, tooFew))).toMatch(/^value\.too-large/);
    }
  });
});

describe("an Error", () => {
  const standard = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError];
  test.each(standard.map((Class) => [Class.name, Class] as const))(
    "of class %s comes back with class, stack and fields",
    (_, Class) => {
      const error = Object.assign(new Class("no", { cause: new Error("why") }), { code: "E1", at: new Date(0) });
      const back = cast<typeof error>(roundTrip({ error, date: new Date(0) }) && decodeError(encodeError(error)));
      expect(back).toBeInstanceOf(Class);
      expect(Object.getPrototypeOf(back)).toBe(Class.prototype);
      expect([back.name, back.message, back.stack, back.code, back.at]).toStrictEqual([
        Class.name,
        "no",
        error.stack,
        "E1",
        new Date(0),
      ]);
      expect(back.cause).toBeInstanceOf(Error);
      expect(Object.keys(back)).toEqual(["code", "at"]);
    },
  );

  test("of another class comes back as a plain Error with its name", () => {
    class QueryError extends TypeError {
      override name = "QueryError";
      query = "select";
    }
    const back = cast<QueryError>(roundTrip(new QueryError("bad")));
    expect(Object.getPrototypeOf(back)).toBe(Error.prototype);
    expect([back.name, back.query, String(back)]).toEqual(["QueryError", "select", "QueryError: bad"]);
    const abort = cast<Error>(roundTrip(new DOMException("stopped", "AbortError")));
    expect([abort instanceof Error, abort.name, abort.message]).toEqual([true, "AbortError", "stopped"]);
    const own = cast<FarcallError>(roundTrip(new FarcallError("timeout", "late", { hint: "wait" })));
    expect([own instanceof FarcallError, own.name, own.code, own.hint]).toEqual([
      false,
      "FarcallError",
      "timeout",
      "wait",
    ]);
  });

  test("that holds others brings them along, and itself", () => {
    const error = Object.assign(new AggregateError([new TypeError("a"), 2, () => 1], "all"), {
      self: {},
      list: [] as unknown[],
    });
    error.self = error;
    error.list.push({ error });
    error.cause = error;
    const back = cast<typeof error>(decodeError(encodeError(error)));
    expect(back).toBeInstanceOf(AggregateError);
    expect(back.errors).toEqual([new TypeError("a"), 2]);
    expect(Object.keys(back)).toEqual(["self", "list"]);
    expect(back.self).toBe(back);
    expect(back.cause).toBe(back);
    expect(cast<{ error: unknown }>(back.list[0]).error).toBe(back);
  });

  test("arrives without the fields that cannot be sent", () => {
    const error = Object.assign(new Error("no"), {
      socket: new Point(),
      retry: () => 1,
      deep: { list: [1, { f: () => 1 }] },
      good: { list: [1] },
      [then]: "t",
      constructor: "c",
    });
    Object.defineProperty(error, "bad", {
      enumerable: true,
      get: () => {
        throw new Error("getter");
      },
    });
    const back = roundTrip([error, new Date(0)]);
    expect(Object.keys(cast<object[]>(back)[0]!)).toEqual(["good"]);
    expect(Object.hasOwn(cast<object[]>(back)[0]!, "constructor")).toBe(false);
  });

  test("with a field over the limit arrives without it", () => {
    const error = Object.assign(new Error("no"), { huge: new Uint8Array(300 * 1024 * 1024), code: "E" });
    expect(decodeError(encodeError(error))).toMatchObject({ message: "no", code: "E" });
  });

  test("in a chain of 30 errors, each with fields that hold the next, is encoded in an instant", () => {
    let error: Error | undefined;
    for (let i = 0; i < 30; i++) error = Object.assign(new Error(`e${i}`), { a: { error }, b: { error } });
    expect(decodeError(encodeError(error)).message).toBe("e29");
  });

  test("with 5,000 causes still arrives", () => {
    let error = new Error("first");
    for (let i = 0; i < 5000; i++) error = new Error("next", { cause: error });
    expect(decodeError(encodeError(error)).message).toBe("next");
  });

  const hostile = new Proxy(new Error("x"), {
    get: () => {
      throw new Error("trap");
    },
    getPrototypeOf: () => {
      throw new Error("trap");
    },
  });
  const gone = Proxy.revocable({}, {});
  gone.revoke();
  const getters = Object.defineProperties(new Error("x"), {
    message: {
      get: () => {
        throw new Error("m");
      },
    },
    name: {
      get: () => {
        throw new Error("n");
      },
    },
    stack: {
      get: () => {
        throw new Error("s");
      },
    },
    cause: {
      get: () => {
        throw new Error("c");
      },
    },
  });
  const badErrors = Object.defineProperty(new Error("x"), "errors", { value: gone.proxy, enumerable: false });
  test.each<[string, unknown, string]>([
    ["undefined", undefined, "Non-error thrown: undefined"],
    ["a string", "oops", "Non-error thrown: 'oops'"],
    ["an object", { code: 7 }, "Non-error thrown: { code: 7 }"],
    ["a function", () => 1, "Non-error thrown: [Function (anonymous)]"],
    [
      "an object with a hostile inspector",
      {
        [Symbol.for("nodejs.util.inspect.custom")]: () => {
          throw new Error("i");
        },
      },
      "Non-error thrown: ",
    ],
    ["a revoked proxy", gone.proxy, "Non-error thrown: <Revoked Proxy>"],
    ["a proxy whose traps throw", hostile, "Non-error thrown: "],
    ["an Error whose getters throw", getters, ""],
    ["an Error whose errors cannot be read", badErrors, "x"],
  ])("stands for %s that was thrown", (_, thrown, message) => {
    const back = decodeError(encodeError(thrown));
    expect(back).toBeInstanceOf(Error);
    expect(back.message.startsWith(message)).toBe(true);
  });

  test("keeps what was thrown in place of an Error", () => {
    expect(decodeError(encodeError({ code: 7 }))).toMatchObject({ thrown: { code: 7 } });
    expect(decodeError(encodeError(() => 1))).not.toHaveProperty("thrown");
  });

  test("is what decodeError gives for bytes that hold none", () => {
    expect(decodeError(encodeValue(5)).message).toBe("Non-error thrown: 5");
    expect(decodeError(Uint8Array.of(1, 2, 3))).toMatchObject({ code: "value.invalid" });
  });
});
