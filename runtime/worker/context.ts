import { AsyncLocalStorage } from "node:async_hooks";

/**
 * What `context()` gives to the user's function, held in async-local storage so that it reaches code at any
 * depth without being an argument: an extra argument would change functions with optional or rest parameters.
 */
export class CallContext {
  readonly run: string;
  /** Index of the input in its map; 0 for a call. */
  readonly index: number;
  /** 1 for the first try. */
  readonly attempt: number;
  readonly #log: (context: CallContext, args: unknown[]) => void;
  #controller: AbortController | undefined;
  #aborted: { reason: unknown } | undefined;

  constructor(run: string, index: number, attempt: number, log: (context: CallContext, args: unknown[]) => void) {
    this.run = run;
    this.index = index;
    this.attempt = attempt;
    this.#log = log;
  }

  /** Made when first asked for: an AbortController for each of a million inputs would cost more than they do. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#aborted.reason);
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }

  /** Writes a line to the run's log. */
  readonly log = (...args: unknown[]): void => this.#log(this, args);
}

const storage = new AsyncLocalStorage<CallContext>();

export function currentContext(): CallContext | undefined {
  return storage.getStore();
}

export function runInContext<T>(context: CallContext, act: () => T): T {
  return storage.run(context, act);
}

/** Lets `import { context } from "farcall"` in a bundle find this worker. */
export function installContext(): void {
  const api = {
    context: () => {
      const context = currentContext();
      if (!context)
        throw new Error("context() was called outside of a call: module code and detached timers have none.");
      return context;
    },
  };
  Object.defineProperty(globalThis, Symbol.for("farcall.worker"), { value: api });
}
