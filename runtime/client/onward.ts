import type { Asking } from "./asking.ts";

/** The items of a stream that is asked for again when the connection was lost. */
export async function* onward<T>(
  session: Asking,
  ask: () => AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  const patience = session.patience(signal);
  for (;;) {
    try {
      for await (const item of ask()) {
        patience.renew();
        yield item;
      }
      return;
    } catch (error) {
      if (session.isLooking) throw error;
      await patience.bear(error);
    }
  }
}
