import type { Inputs } from "../spec/inputs.ts";
import { type InputSource, openUnchecked, type OpenInputOptions } from "./source.ts";

export interface InputPreview {
  /** How many inputs there are, or how many were counted. */
  count: number;
  /** False when counting stopped at the limit and there are more. */
  countIsExact: boolean;
  /** The first ones, in order. */
  first: unknown[];
}

interface PreviewLimits {
  /** How many of the first inputs to keep. Default 3. */
  sample?: number | undefined;
  /** Counting stops here. Default 1,000,000. */
  limit?: number | undefined;
  /** Counting stops after so long, also while no input comes. Default: never. */
  withinMs?: number | undefined;
}
export interface PreviewOptions extends OpenInputOptions, PreviewLimits {}

const defaultSample = 3;
const defaultLimit = 1_000_000;

/** What a source would give to a map. Throws what `openInput` throws, for a fault before the limit. */
export async function previewInput(given: string, options: PreviewOptions): Promise<InputPreview> {
  return previewWithin((signal) => openUnchecked(given, { ...options, signal }), options);
}

/** The same for any source. `open` is given a signal that also aborts when the time is up. */
export async function previewWithin(
  open: (signal: AbortSignal) => Promise<InputSource> | InputSource,
  { signal, sample = defaultSample, limit = defaultLimit, withinMs }: PreviewLimits & { signal: AbortSignal },
): Promise<InputPreview> {
  const preview: InputPreview = { count: 0, countIsExact: true, first: [] };
  const timeUp = withinMs === undefined ? undefined : AbortSignal.timeout(withinMs);
  const either = timeUp ? AbortSignal.any([signal, timeUp]) : signal;
  try {
    using opened = await open(either);
    const { values } = opened;
    if (Array.isArray(values)) return { count: values.length, countIsExact: true, first: values.slice(0, sample) };
    for await (const value of eachInput(values, either)) {
      if (preview.count >= limit) return { ...preview, countIsExact: false };
      if (preview.count++ < sample) preview.first.push(value);
    }
    return preview;
  } catch (error) {
    if (timeUp?.aborted && !signal.aborted) return { ...preview, countIsExact: false };
    throw error;
  }
}

const inputsBeforeABreath = 1_000;

/**
 * The inputs one by one, as long as nobody aborts: also when they come without end and without a wait, or when the
 * next one never comes. Leaving the loop has a generator run its `return()`.
 */
export async function* eachInput(
  values: Inputs<unknown>,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, undefined> {
  const iterator = Symbol.asyncIterator in values ? values[Symbol.asyncIterator]() : values[Symbol.iterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason as Error);
  aborted.catch(() => undefined);
  signal.addEventListener("abort", abort, { once: true });
  let open = true;
  try {
    for (let taken = 0; ; taken++) {
      // Gives way to signals and timers, which a source that never waits would keep out.
      if (taken % inputsBeforeABreath === 0) await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      let next: IteratorResult<unknown>;
      try {
        const pending = iterator.next();
        next = "then" in pending ? await Promise.race([pending, aborted]) : pending;
      } catch (error) {
        // A source that threw is at its end.
        open = signal.aborted;
        throw error;
      }
      if (next.done) {
        open = false;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    if (open) {
      const returned = iterator.return?.();
      // It may be stuck in the wait that was given up.
      if (signal.aborted) Promise.resolve(returned).catch(() => undefined);
      else await returned;
    }
  }
}
