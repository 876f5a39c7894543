/**
 * The process of a replica. Pieces: `invoke` runs the user's function once, `slice` works many inputs,
 * `context` carries what `context()` returns, `output` keeps what is printed, `journal` notes what is being
 * done for whoever finds this process dead.
 *
 * The agent is reached over file descriptor 3. When it closes, the agent is gone and so is this process's
 * reason to live: it ends itself and all that the user's function started.
 */
import { createRequire, enableCompileCache, flushCompileCache } from "node:module";
import { Socket } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { decodeValue, encodeError, encodeValue } from "../protocol/codec.ts";
import { workerMethods, workerNotices, type WorkerNotices } from "../protocol/messages/worker.ts";
import type { ExportInfo } from "../protocol/messages/code.ts";
import { Peer, type Answer } from "../protocol/rpc.ts";
import { type Incoming } from "../protocol/served.ts";
import { FarcallError } from "../spec/errors.ts";
import { streamTransport } from "../transport/stream.ts";
import { CallContext, installContext, runInContext } from "./context.ts";
import { describeExports, findFunction } from "./exports.ts";
import { bounded, isAsyncIterator, isIterator, strays, watchStray, type UserFunction } from "./invoke.ts";
import { Journal, type DeathNote } from "./journal.ts";
import { Output } from "./output.ts";
import { Lanes, workSlice } from "./slice.ts";

const agentDescriptor = 3;
const journal = new Journal(takeVariable("FARCALL_JOURNAL"));
enableCompileCache(takeVariable("FARCALL_COMPILE_CACHE"));

/** Reads a variable meant for this process and hides it from what the user's code starts. */
function takeVariable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: a worker is started by an agent only`);
  delete process.env[name];
  return value;
}

let exports: Record<string, unknown> = {};
/** Lanes of each map that has slices here. */
const lanesByRun = new Map<string, { lanes: Lanes; slices: number }>();

const transport = streamTransport(new Socket({ fd: agentDescriptor, readable: true, writable: true }));
const output = new Output((run) => agent.notify("output", { run }));
const agent: Peer<WorkerNotices, typeof workerMethods> = new Peer(transport, workerNotices, {
  methods: workerMethods,
  handlers: {
    warm: async ({ files }) => {
      provideRequire(files[0] ?? process.cwd());
      // What fails now fails again when the bundle is loaded, and is reported then.
      await Promise.allSettled(files.map((file) => import(pathToFileURL(file).href)));
      return { result: {} };
    },

    load: async ({ folder, entry, commonJs }) => {
      const found = await load(folder, entry, commonJs);
      return found instanceof Uint8Array
        ? { result: { ok: false, exports: [] }, body: found }
        : { result: { ok: true, exports: found } };
    },

    invoke: ({ run, logFile, export: name, timeoutMs }, incoming) => {
      const fn = functionNamed(name);
      output.begin(run, logFile);
      const context = new CallContext(run, 0, 1, output.log);
      const answer = invoke(fn, context, incoming, timeoutMs);
      const end = () => {
        output.endOf(run, 0);
        output.endOf(run, -1);
        output.end(run);
      };
      if (answer instanceof Promise) return answer.finally(end);
      end();
      return answer;
    },

    slice: async (request, incoming) => {
      const fn = functionNamed(request.export);
      const { run, logFile, concurrency } = request;
      const held = lanesOf(run, concurrency);
      output.begin(run, logFile);
      let workedMs: number;
      try {
        workedMs = await workSlice(fn, request, incoming.body, {
          journal,
          output,
          lanes: held.lanes,
          signal: incoming.signal,
          send: (part, body) => incoming.send(part, body),
        });
      } finally {
        held.release();
        output.endOf(run, -1);
        output.end(run);
      }
      return { result: { strays: strays.count, workedMs } };
    },
  },
  onClose: () => endProcessGroup(),
});

const functions = new Map<string, UserFunction>();

function functionNamed(name: string): UserFunction {
  let fn = functions.get(name);
  if (!fn) functions.set(name, (fn = findFunction(exports, name)));
  return fn;
}

function lanesOf(run: string, concurrency: number): { lanes: Lanes; release(): void } {
  let entry = lanesByRun.get(run);
  if (!entry) lanesByRun.set(run, (entry = { lanes: new Lanes(concurrency), slices: 0 }));
  const held = entry;
  held.slices++;
  return {
    lanes: held.lanes,
    release: () => {
      if (--held.slices === 0) lanesByRun.delete(run);
    },
  };
}

async function load(folder: string, entry: string, commonJs: boolean): Promise<ExportInfo[] | Uint8Array> {
  provideRequire(join(folder, "require.js"));
  process.chdir(folder);
  try {
    const loaded = (await import(pathToFileURL(join(folder, entry)).href)) as Record<string, unknown>;
    exports = commonJs ? withDefault(loaded["default"]) : loaded;
    // A replica is often ended by a signal, which would lose what it compiled.
    setImmediate(flushCompileCache);
    return describeExports(exports);
  } catch (thrown) {
    return encodeError(thrown);
  }
}

/** What esbuild leaves of `require` calls in third-party CommonJS code looks for a global one. */
function provideRequire(from: string): void {
  Object.defineProperty(globalThis, "require", { value: createRequire(from), configurable: true, writable: true });
}

/** The exports of a CommonJS module: the properties of `module.exports`, which is also the default export. */
function withDefault(moduleExports: unknown): Record<string, unknown> {
  const named =
    (typeof moduleExports === "object" && moduleExports !== null) || typeof moduleExports === "function"
      ? Object.fromEntries(Object.entries(moduleExports))
      : {};
  return { default: moduleExports, ...named };
}

function invoke(
  fn: UserFunction,
  context: CallContext,
  incoming: Incoming<Record<never, never>>,
  timeoutMs: number | null,
): Answer<{ ok: boolean }> | Promise<Answer<{ ok: boolean }>> {
  const failed = (thrown: unknown) => ({ result: { ok: false }, body: encodeError(thrown) });
  try {
    const args = decodeValue(incoming.body);
    if (!Array.isArray(args)) throw new FarcallError("value.invalid", "The arguments of a call are not an array.");
    const returned = runInContext(context, () => fn(...(args as unknown[])));
    if (isAsyncIterator(returned) || isIterator(returned))
      return runInContext(context, () => pump(returned, context, incoming));
    if (!(returned instanceof Promise)) {
      if (typeof (returned as PromiseLike<unknown> | undefined)?.then !== "function") {
        return { result: { ok: true }, body: encodeValue(returned) };
      }
    }
    return settle(returned as PromiseLike<unknown>, context, incoming, timeoutMs).catch(failed);
  } catch (thrown) {
    return failed(thrown);
  }
}

async function settle(
  returned: PromiseLike<unknown>,
  context: CallContext,
  incoming: Incoming<Record<never, never>>,
  timeoutMs: number | null,
): Promise<Answer<{ ok: boolean }>> {
  const { signal } = incoming;
  const cancel = () => {
    context.abort(signal.reason);
    watchStray(returned);
  };
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
  try {
    const value = await bounded(returned, context, timeoutMs);
    return { result: { ok: true }, body: encodeValue(value) };
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** Sends what a generator yields, no faster than it is read. */
async function pump(
  generator: AsyncGenerator | Generator,
  context: CallContext,
  incoming: Incoming<Record<never, never>>,
): Promise<Answer<{ ok: boolean }>> {
  const { signal } = incoming;
  const cancel = () => {
    context.abort(signal.reason);
    void generator.return(undefined);
  };
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
  try {
    for (;;) {
      const { done, value } = (await generator.next()) as IteratorResult<unknown, unknown>;
      if (done) return { result: { ok: true }, body: encodeValue(value) };
      await incoming.send({}, encodeValue(value));
    }
  } catch (thrown) {
    await generator.return(undefined);
    return { result: { ok: false }, body: encodeError(thrown) };
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

function endProcessGroup(): void {
  try {
    process.kill(-process.pid, "SIGKILL");
  } catch {
    // Not the leader of a group (Windows): only this process can be ended from here.
  }
  process.exit(0);
}

function die(kind: DeathNote["kind"], thrown: unknown): void {
  note ??= { kind, error: Buffer.from(encodeError(thrown)).toString("base64") };
  process.exit(1);
}

let note: DeathNote | undefined;
process.on("uncaughtException", (thrown) => die("uncaught", thrown));
process.on("unhandledRejection", (thrown) => die("unhandled-rejection", thrown));
process.on("exit", () => journal.died(note ?? { kind: "exit" }));

installContext();
output.install();
agent.notify("ready", { pid: process.pid });
