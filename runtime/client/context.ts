/** What a function can know about the call it is in. */
export interface Context {
  /** Aborts when the caller cancels or the time is up. */
  readonly signal: AbortSignal;
  /** Index of the input in its map; 0 for a single call. */
  readonly index: number;
  /** 1 for the first try at this input. */
  readonly attempt: number;
  /** Writes a line to the run's log. */
  log(...args: unknown[]): void;
}

const atHome: Context = {
  signal: new AbortController().signal,
  index: 0,
  attempt: 1,
  log: (...args) => console.error(...args),
};

/**
 * The call that the running function is in, at any depth and across `await`. In a function that is simply
 * called, without Farcall, it gives a first attempt that is never cancelled, so the same code runs anywhere.
 */
export function context(): Context {
  return atHome;
}
