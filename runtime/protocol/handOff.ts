import { FarcallError } from "../spec/errors.ts";
import type { Abortable } from "./served.ts";

/**
 * Turns a producer that gives items into a generator that yields them, one taken at a time: what `give` returns
 * resolves when the item has been taken, so the producer can hold back. The producer's result is the generator's
 * return value, its error is thrown. Leaving the generator early, or `outer`, aborts the producer's signal.
 */
export async function* handOff<T, R>(
  produce: (give: (item: T) => Promise<void>, signal: AbortSignal) => Promise<R>,
  outer: Abortable | undefined,
): AsyncGenerator<T, R, undefined> {
  const items: { item: T; taken: () => void }[] = [];
  let wake: (() => void) | undefined;
  let end: { result: R } | { error: unknown } | undefined;
  const stop = new AbortController();
  const pass = () => stop.abort(outer?.reason);
  if (outer?.aborted) pass();
  else outer?.addEventListener("abort", pass, { once: true });
  const give = (item: T) => {
    const taken = Promise.withResolvers<void>();
    items.push({ item, taken: taken.resolve });
    wake?.();
    return taken.promise;
  };
  produce(give, stop.signal)
    .then(
      (result) => (end = { result }),
      (error: unknown) => (end = { error }),
    )
    .finally(() => wake?.());
  try {
    for (;;) {
      const next = items.shift();
      if (next) {
        yield next.item;
        next.taken();
      } else if (end) {
        if ("error" in end) throw end.error;
        return end.result;
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
        wake = undefined;
      }
    }
  } finally {
    outer?.removeEventListener("abort", pass);
    if (!end) stop.abort(new FarcallError("run.cancelled", "The reader stopped."));
  }
}
