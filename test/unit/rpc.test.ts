import { describe, expect, onTestFinished, test } from "vitest";
import * as v from "valibot";
import { decodeFrame, encodeFrame } from "../../runtime/protocol/frame.ts";
import { type Handlers, Peer } from "../../runtime/protocol/rpc.ts";
import { type Incoming } from "../../runtime/protocol/served.ts";
import { fromFailure, toFailure } from "../../runtime/protocol/failure.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";
import { memoryPair } from "../../runtime/transport/memory.ts";
import type { Transport } from "../../runtime/transport/transport.ts";
import { transportPairs } from "../support/transportPairs.ts";

const anything = v.object({});
const methods = {
  echo: { params: v.object({ text: v.string() }), result: v.object({ text: v.string() }) },
  bytes: { params: anything, result: anything },
  broken: { params: v.object({ how: v.string() }), result: anything },
  wait: { params: anything, result: v.object({ reason: v.string() }) },
  count: {
    params: v.object({ to: v.number() }),
    result: v.object({ sent: v.number() }),
    item: v.object({ n: v.number() }),
  },
  burst: { params: v.object({ of: v.number() }), result: anything, item: v.object({ n: v.number() }) },
  spray: { params: v.object({ of: v.number() }), result: anything, item: v.object({ n: v.number() }) },
  unreadable: { params: anything, result: v.object({ must: v.string() }) },
  unsendable: { params: anything, result: v.unknown() },
  note: { params: v.object({ text: v.string() }), result: anything },
};
type Methods = typeof methods;

/** What the serving side has seen. */
interface Seen {
  notes: string[];
  /** Items of `count` whose turn had come. */
  sent: number;
  aborts: string[];
}

function handlers(seen: Seen): Handlers<Methods> {
  const untilAbort = async ({ signal }: Pick<Incoming<never>, "signal">) => {
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    const { code } = signal.reason as FarcallError;
    seen.aborts.push(code);
    return code;
  };
  return {
    echo: ({ text }) => ({ result: { text } }),
    bytes: async (_params, { body }) => {
      await turn();
      return { result: {}, body: Buffer.from(body).reverse() };
    },
    broken: ({ how }) => {
      if (how === "farcall") throw new FarcallError("disk.full", "No room.", { hint: "Make some.", retryable: true });
      if (how === "string") throw "plain text"; // oxlint-disable-line no-throw-literal -- what a handler may do
      return Promise.reject(Object.assign(new TypeError("no such thing"), { secret: "hidden" }));
    },
    wait: async (_params, incoming) => ({ result: { reason: await untilAbort(incoming) } }),
    count: async ({ to }, incoming) => {
      let n = 0;
      for (; n < to && !incoming.signal.aborted; n++) {
        await incoming.send({ n }, Buffer.from(`${n}`));
        seen.sent = n + 1;
      }
      if (incoming.signal.aborted) await untilAbort(incoming);
      return { result: { sent: n } };
    },
    burst: async ({ of }, incoming) => {
      await Promise.all(Array.from({ length: of }, (_, n) => incoming.send({ n })));
      return { result: {} };
    },
    spray: ({ of }, incoming) => {
      for (let n = 0; n < of; n++) void incoming.send({ n });
      return { result: {} };
    },
    unreadable: () => ({ result: { must: 1 as never } }),
    unsendable: async () => {
      await turn();
      return { result: 1n };
    },
    note: ({ text }) => {
      seen.notes.push(text);
      return { result: {} };
    },
  };
}

function peers([left, right]: [Transport, Transport]) {
  const seen: Seen = { notes: [], sent: 0, aborts: [] };
  const closes: string[] = [];
  const server = new Peer(right, {}, { methods, handlers: handlers(seen), onClose: () => closes.push("server") });
  const client = new Peer(left, methods, { methods: {}, handlers: {}, onClose: () => closes.push("client") });
  onTestFinished(() => {
    client.destroy();
    server.destroy();
  });
  return { client, server, seen, closes, left };
}

/** A peer, and the bare other end of its connection. */
function peerAndWire() {
  const [near, wire] = memoryPair();
  const seen: Seen = { notes: [], sent: 0, aborts: [] };
  const frames: Record<string, unknown>[] = [];
  const closed = Promise.withResolvers<void>();
  wire.start({ onFrame: (frame) => frames.push(decodeFrame(frame).header), onClose: () => closed.resolve() });
  const peer = new Peer(near, methods, { methods, handlers: handlers(seen) });
  return { peer, wire, seen, frames, closed: closed.promise };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: FarcallError) => error,
  );

describe("a request", () => {
  test("is answered with its result and bytes", async () => {
    const { client } = peers(memoryPair());
    const { value } = await client.request("echo", { text: "hello" });
    expect(value).toEqual({ text: "hello" });
    const { body } = await client.request("bytes", {}, { body: Buffer.from("abc") });
    expect(Buffer.from(body).toString()).toBe("cba");
  });

  test("fails with the code, message, hint and retryability of the other side's error", async () => {
    const { client } = peers(memoryPair());
    const error = await rejection(client.request("broken", { how: "farcall" }));
    expect(error).toBeInstanceOf(FarcallError);
    expect(error).toMatchObject({ code: "disk.full", message: "No room.", hint: "Make some.", retryable: true });
  });

  test("fails as `internal` for any other error, of which only name and message travel", async () => {
    const { client } = peers(memoryPair());
    const error = await rejection(client.request("broken", { how: "reject" }));
    expect(error).toMatchObject({ code: "internal", message: "TypeError: no such thing", retryable: false });
    expect(error).not.toHaveProperty("secret");
    expect(await rejection(client.request("broken", { how: "string" }))).toMatchObject({ message: "plain text" });
  });

  test("for a method that the other side does not have fails, and the connection goes on", async () => {
    const [left, right] = memoryPair();
    peers([memoryPair()[0], right]);
    const none = { params: anything, result: anything };
    const client = new Peer(
      left,
      { ...methods, missing: none, toString: none, __proto__: none, constructor: none },
      { methods: {}, handlers: {} },
    );
    for (const method of ["missing", "toString", "constructor"] as const) {
      expect(await rejection(client.request(method, {}))).toMatchObject({
        code: "protocol.invalid",
        message: expect.stringContaining(method),
      });
    }
    expect((await client.request("echo", { text: "still here" })).value).toEqual({ text: "still here" });
  });

  test("with parameters the other side cannot read fails, and names the field", async () => {
    const { client } = peers(memoryPair());
    expect(await rejection(client.request("echo", { text: 5 as never }))).toMatchObject({
      code: "protocol.invalid",
      message: expect.stringContaining("text"),
    });
    expect((await client.request("echo", { text: "ok" })).value.text).toBe("ok");
  });

  test("whose result cannot be read fails, and the connection goes on", async () => {
    const { client } = peers(memoryPair());
    expect(await rejection(client.request("unreadable", {}))).toMatchObject({
      code: "protocol.invalid",
      message: expect.stringContaining("must"),
    });
    expect(client.isOpen).toBe(true);
  });

  test("whose result cannot be sent fails, and the connection goes on", async () => {
    const { client } = peers(memoryPair());
    expect(await rejection(client.request("unsendable", {}))).toBeInstanceOf(FarcallError);
    expect((await client.request("echo", { text: "on" })).value.text).toBe("on");
  });

  test("with a header over the limit fails alone", async () => {
    const { client } = peers(memoryPair());
    const text = "x".repeat(2 * 1024 * 1024);
    expect(await rejection(client.request("echo", { text }))).toBeInstanceOf(FarcallError);
    expect((await client.request("echo", { text: "on" })).value.text).toBe("on");
  });

  test("that is aborted rejects at once with the reason, and the other side hears of it", async () => {
    const { client, seen } = peers(memoryPair());
    const stop = new AbortController();
    const waiting = rejection(client.request("wait", {}, { signal: stop.signal }));
    await turn();
    stop.abort(new Error("enough"));
    expect((await waiting)?.message).toBe("enough");
    await turn();
    expect(seen.aborts).toEqual(["run.cancelled"]);
  });

  test("that is aborted with `wait` ends as the other side ends it", async () => {
    const { client } = peers(memoryPair());
    const stop = new AbortController();
    const waiting = client.request("wait", {}, { signal: stop.signal, onAbort: "wait" });
    await turn();
    stop.abort(new Error("enough"));
    expect((await waiting).value).toEqual({ reason: "run.cancelled" });
  });

  test("whose signal had aborted before is never sent", async () => {
    const { peer, frames } = peerAndWire();
    const error = await rejection(peer.request("echo", { text: "" }, { signal: AbortSignal.abort(new Error("no")) }));
    expect(error?.message).toBe("no");
    await turn();
    expect(frames).toEqual([]);
  });

  test("that is not answered in its time rejects with `timeout` and is cancelled there", async () => {
    const { client, seen } = peers(memoryPair());
    const error = await rejection(client.request("wait", {}, { timeoutMs: 30 }));
    expect(error).toMatchObject({ code: "timeout", retryable: true, message: expect.stringContaining("wait") });
    await turn();
    expect(seen.aborts).toEqual(["run.cancelled"]);
  });

  test("leaves no listener on its signal behind", async () => {
    const { client } = peers(memoryPair());
    const stop = new AbortController();
    let listeners = 0;
    const { signal } = stop;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    await client.request("echo", { text: "" }, { signal: stop.signal });
    await rejection(client.request("broken", { how: "farcall" }, { signal: stop.signal }));
    await rejection(client.request("wait", {}, { signal: stop.signal, timeoutMs: 10 }));
    for await (const _item of client.stream("count", { to: 3 }, { signal: stop.signal }));
    expect(listeners).toBe(0);
  });

  test("is one of 10,000 at the same time, and each gets its own answer", async () => {
    const { client } = peers(await transportPairs.stream());
    const texts = Array.from({ length: 10_000 }, (_, i) => `text ${i}`);
    const bodies = texts.map((text) => Buffer.from(text));
    const [echoes, reversed] = await Promise.all([
      Promise.all(texts.map((text) => client.request("echo", { text }))),
      Promise.all(bodies.map((body) => client.request("bytes", {}, { body }))),
    ]);
    expect(echoes.every(({ value }, i) => value.text === texts[i])).toBe(true);
    expect(reversed.every(({ body }, i) => Buffer.from(body).reverse().equals(bodies[i]!))).toBe(true);
  });

  test("may go either way on one connection", async () => {
    const [left, right] = memoryPair();
    const make = (transport: Transport) =>
      new Peer(transport, methods, { methods, handlers: handlers({ notes: [], sent: 0, aborts: [] }) });
    const sides = [make(left), make(right)];
    const answers = await Promise.all(
      sides.flatMap((side) => [side.request("echo", { text: "a" }), side.request("bytes", {})]),
    );
    expect(answers.length).toBe(4);
  });
});

describe("a notification", () => {
  test("arrives and is not answered, also when it fails", async () => {
    const { peer, wire, frames, seen } = peerAndWire();
    wire.send(encodeFrame({ type: "note", id: 0, text: "hi" }));
    wire.send(encodeFrame({ type: "fail", id: 0, error: { code: "x", message: "y" } }));
    wire.send(encodeFrame({ type: "missing", id: 0 }));
    await turn();
    expect(seen.notes).toEqual(["hi"]);
    expect(frames).toEqual([]);
    expect(peer.isOpen).toBe(true);
    peer.notify("note", { text: "back" });
    await turn();
    expect(frames).toEqual([{ type: "note", id: 0, text: "back" }]);
  });
});

describe("a stream", () => {
  test("gives its items in order with their bytes, and then its result", async () => {
    const { client } = peers(await transportPairs.stream());
    const stream = client.stream("count", { to: 1_000 });
    for (let n = 0; ; n++) {
      const next = await stream.next();
      if (next.done) {
        expect(next.value.value).toEqual({ sent: 1_000 });
        expect(n).toBe(1_000);
        break;
      }
      expect(next.value.value.n).toBe(n);
      expect(Buffer.from(next.value.body).toString()).toBe(`${n}`);
    }
  });

  test("holds its sender back until the reader takes items", async () => {
    const { client, seen } = peers(memoryPair());
    const stream = client.stream("count", { to: 1_000 });
    await stream.next();
    for (let i = 0; i < 20; i++) await turn();
    const window = seen.sent;
    expect(window).toBeGreaterThan(1);
    expect(window).toBeLessThan(64);
    for (let i = 0; i < 10; i++) await stream.next();
    for (let i = 0; i < 20; i++) await turn();
    expect(seen.sent).toBe(window + 10);
    await stream.return(undefined as never);
  });

  test("holds its sender back while a request's taker of items is busy", async () => {
    const { client, seen } = peers(memoryPair());
    const busy = Promise.withResolvers<void>();
    const taken: number[] = [];
    const request = client.request("count", { to: 100 }, {}, (item) => {
      taken.push((item as { n: number }).n);
      return busy.promise;
    });
    for (let i = 0; i < 20; i++) await turn();
    expect(seen.sent).toBeLessThan(64);
    busy.resolve();
    await request;
    expect(taken).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  test("whose sender does not wait for its turn loses nothing and keeps the order", async () => {
    const { client } = peers(memoryPair());
    const seen: number[] = [];
    for await (const { value } of client.stream("burst", { of: 500 })) seen.push(value.n);
    expect(seen).toEqual(Array.from({ length: 500 }, (_, n) => n));
  });

  test("whose handler is done before its items are sent gives them all before the result", async () => {
    const { client } = peers(memoryPair());
    const seen: number[] = [];
    for await (const { value } of client.stream("spray", { of: 500 })) seen.push(value.n);
    expect(seen).toEqual(Array.from({ length: 500 }, (_, n) => n));
  });

  test("that is left early is cancelled on the other side, which is freed", async () => {
    const { client, seen } = peers(memoryPair());
    for await (const { value } of client.stream("count", { to: 1e9 })) if (value.n === 40) break;
    for (let i = 0; i < 5; i++) await turn();
    expect(seen.aborts).toEqual(["run.cancelled"]);
    expect(seen.sent).toBeLessThan(100);
  });

  test("that is aborted throws the reason", async () => {
    const { client, seen } = peers(memoryPair());
    const stop = new AbortController();
    const read = (async () => {
      for await (const { value } of client.stream("count", { to: 1e9 }, { signal: stop.signal }))
        if (value.n === 30) stop.abort(new Error("enough"));
    })();
    expect((await rejection(read))?.message).toBe("enough");
    for (let i = 0; i < 5; i++) await turn();
    expect(seen.aborts).toEqual(["run.cancelled"]);
  });

  test("whose taker of items fails ends with that error, on both sides", async () => {
    const { client, seen } = peers(memoryPair());
    const failing = client.request("count", { to: 1e9 }, {}, () => Promise.reject(new Error("cannot take it")));
    expect((await rejection(failing))?.message).toBe("cannot take it");
    for (let i = 0; i < 5; i++) await turn();
    expect(seen.aborts).toEqual(["run.cancelled"]);
    expect(client.isOpen).toBe(true);
  });

  test("gives the items that came before its error", async () => {
    const { peer, wire } = peerAndWire();
    const read = (async () => {
      const seen: number[] = [];
      const error = await rejection(
        (async () => {
          for await (const { value } of peer.stream("count", { to: 3 })) seen.push(value.n);
        })(),
      );
      return { seen, error };
    })();
    await turn();
    for (const n of [0, 1]) wire.send(encodeFrame({ type: "item", id: 1, item: { n } }));
    wire.send(encodeFrame({ type: "fail", id: 1, error: { code: "disk.full", message: "No room." } }));
    const { seen, error } = await read;
    expect(seen).toEqual([0, 1]);
    expect(error).toMatchObject({ code: "disk.full" });
  });
});

describe("the end of a connection", () => {
  test.each(["memory", "stream", "websocket"] as const)(
    "over %s rejects everything open with `connection.lost` and aborts what is served",
    async (kind) => {
      const { client, server, seen, closes } = peers(await transportPairs[kind]());
      const open = [
        rejection(client.request("wait", {})),
        rejection(client.request("wait", {}, { timeoutMs: 60_000 })),
        rejection(client.stream("wait", {}).next()),
      ];
      await client.request("echo", { text: "" });
      server.destroy();
      for (const error of await Promise.all(open))
        expect(error).toMatchObject({ code: "connection.lost", retryable: true });
      await Promise.all([client.closed, server.closed]);
      await turn();
      expect(client.isOpen).toBe(false);
      expect(seen.aborts).toEqual(["connection.lost", "connection.lost", "connection.lost"]);
      expect(closes.sort()).toEqual(["client", "server"]);
      expect(await rejection(client.request("echo", { text: "" }))).toMatchObject({ code: "connection.lost" });
      expect(await rejection(client.stream("count", { to: 1 }).next())).toMatchObject({ code: "connection.lost" });
      client.notify("note", { text: "into the void" });
    },
  );

  test.each<[string, Uint8Array]>([
    ["no frame", Buffer.from([1, 2])],
    ["a frame whose header is no JSON", Buffer.concat([Buffer.from(Uint32Array.of(3).buffer), Buffer.from("{a}")])],
    ["a header that claims more than there is", Buffer.from(Uint32Array.of(0xffff_ffff).buffer)],
    ["a message without a type", encodeFrame({ id: 1 })],
    ["a request without an id", encodeFrame({ type: "echo", text: "" })],
    ["a request with a negative id", encodeFrame({ type: "echo", id: -1, text: "" })],
    ["a request with a fraction as its id", encodeFrame({ type: "echo", id: 0.5, text: "" })],
    ["a request with text as its id", encodeFrame({ type: "echo", id: "1", text: "" })],
    ["a reply without an id", encodeFrame({ type: "reply", result: {} })],
    ["a failure without an error", encodeFrame({ type: "fail", id: 1 })],
    ["a failure whose message is no text", encodeFrame({ type: "fail", id: 1, error: { code: "x", message: 1 } })],
  ])("follows %s at once, and nothing behind it is served", async (_what, bytes) => {
    const { peer, wire, seen, frames, closed } = peerAndWire();
    const open = rejection(peer.request("echo", { text: "" }));
    await turn();
    wire.send(bytes);
    wire.send(encodeFrame({ type: "note", id: 7, text: "behind" }));
    expect(await open).toMatchObject({ code: expect.stringMatching(/^(protocol\.invalid|connection\.lost)$/) });
    await closed;
    expect(peer.isOpen).toBe(false);
    expect(seen.notes).toEqual([]);
    expect(frames.map(({ type }) => type)).toEqual(["echo"]);
  });

  test.each<[string, object]>([
    ["a second request with the id of one that is open", { type: "wait", id: 1 }],
    ["negative credit for an open request", { type: "credit", id: 1, credit: -1 }],
    ["text as credit for an open request", { type: "credit", id: 1, credit: "9" }],
  ])("follows %s", async (_what, header) => {
    const { peer, wire, closed } = peerAndWire();
    wire.send(encodeFrame({ type: "wait", id: 1 }));
    wire.send(encodeFrame(header));
    await closed;
    expect(peer.isOpen).toBe(false);
  });

  test("does not follow messages about requests that are over or never were", async () => {
    const { peer, wire } = peerAndWire();
    for (const id of [0, 5, 2 ** 40]) {
      wire.send(encodeFrame({ type: "reply", id, result: {} }));
      wire.send(encodeFrame({ type: "item", id, item: {} }));
      wire.send(encodeFrame({ type: "credit", id, credit: 1e9 }));
      wire.send(encodeFrame({ type: "cancel", id }));
      wire.send(encodeFrame({ type: "pong" }));
    }
    await turn();
    expect(peer.isOpen).toBe(true);
  });

  test("is not waited for by a ping, which is answered", async () => {
    const { wire, frames } = peerAndWire();
    wire.send(encodeFrame({ type: "ping" }));
    await turn();
    expect(frames).toEqual([{ type: "pong" }]);
  });
});

test("a failure from a newer side, with a code unknown here, is `internal`", () => {
  expect(fromFailure({ code: "brand.new", message: "m" })).toMatchObject({ code: "internal", message: "m" });
  expect(fromFailure({ code: "__proto__", message: "m" })).toMatchObject({ code: "internal" });
});

test("a failure of the file system for want of room is `disk.full`", () => {
  expect(toFailure(Object.assign(new Error("write"), { code: "ENOSPC" }))).toMatchObject({ code: "disk.full" });
});

test("a failure with a message of megabytes arrives, shortened", async () => {
  const [left, right] = memoryPair();
  const one = { boom: { params: anything, result: anything } };
  const server = new Peer(
    right,
    {},
    {
      methods: one,
      handlers: {
        boom: () => {
          throw new FarcallError("internal", "x".repeat(5_000_000), { hint: "y".repeat(5_000_000) });
        },
      },
    },
  );
  const client = new Peer(left, one, { methods: {}, handlers: {} });
  const error = await rejection(client.request("boom", {}));
  expect(error).toMatchObject({ code: "internal" });
  expect(error?.message).toMatch(/^xxx/);
  expect([client.isOpen, server.isOpen]).toEqual([true, true]);
});
