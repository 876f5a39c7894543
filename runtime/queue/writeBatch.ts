/**
 * Many small writes as few transactions. Operations queue up and are run once a tick of the event loop, all in
 * one transaction; the caller of each hears of it after the commit.
 *
 * An operation checks everything before it writes anything, and says no by throwing a `FarcallError`: then it
 * alone fails. When the store itself fails, the transaction is rolled back and all its operations fail. Any
 * other error is a fault of one operation that may have written half: the transaction is rolled back and run
 * again without that one. For this an operation must leave no trace outside the store before `done`.
 */
import { FarcallError } from "../spec/errors.ts";

/** What the operations write to. */
export interface TransactionalStore {
  begin(): void;
  commit(): void;
  /** Called after any failure, also one of `begin` or `commit`; must not throw. */
  rollback(cause: unknown): void;
  /** True when an error concerns the store as a whole. */
  isFailure(thrown: unknown): boolean;
  asError(thrown: unknown): FarcallError;
}

interface Operation<T> {
  /** Runs inside a transaction, synchronously. */
  work: () => T;
  /** About how many bytes `work` writes. */
  bytes?: number;
  /** Called synchronously after the commit. Must not throw. */
  done: (value: T) => void;
  /** Called instead of `done` when nothing of the operation was stored. Must not throw. */
  failed: (error: FarcallError) => void;
}

interface Queued {
  bytes: number;
  /** Does the work and returns what is to be called after the commit. */
  run: () => () => void;
  failed: (error: FarcallError) => void;
}

const maxOperations = 1000;
const maxBatchBytes = 8 * 1024 * 1024;

export class WriteBatch {
  readonly #store: TransactionalStore;
  readonly #afterBatch: () => void;
  #queue: Queued[] = [];
  #tick: NodeJS.Immediate | undefined;

  /** `afterBatch` is called after every transaction, committed or not, when its callers have been told. */
  constructor(store: TransactionalStore, afterBatch: () => void) {
    this.#store = store;
    this.#afterBatch = afterBatch;
  }

  add<T>({ work, bytes = 0, done, failed }: Operation<T>): void {
    const run = (): (() => void) => {
      const value = work();
      return () => done(value);
    };
    this.#queue.push({ bytes, run, failed });
    this.#schedule();
  }

  /** Resolves to what `work` returns, after the commit. */
  run<T>(work: () => T, bytes = 0): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.add({ work, bytes, done: resolve, failed: reject });
    });
  }

  /** Runs everything that is queued now. */
  flush(): void {
    clearImmediate(this.#tick);
    this.#tick = undefined;
    while (this.#queue.length > 0) this.#runBatch();
  }

  #schedule(): void {
    this.#tick ??= setImmediate(() => {
      this.#tick = undefined;
      this.#runBatch();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #runBatch(): void {
    const batch = this.#take();
    if (batch.length === 0) return;
    const finish: (() => void)[] = [];
    try {
      this.#store.begin();
      for (const operation of batch) {
        try {
          finish.push(operation.run());
        } catch (thrown) {
          if (!(thrown instanceof FarcallError)) throw new OperationFault(operation, thrown);
          finish.push(() => operation.failed(thrown));
        }
      }
      this.#store.commit();
    } catch (thrown) {
      this.#store.rollback(thrown instanceof OperationFault ? thrown.cause : thrown);
      this.#fail(batch, thrown);
      this.#afterBatch();
      return;
    }
    for (const tell of finish) tell();
    this.#afterBatch();
  }

  #fail(batch: Queued[], thrown: unknown): void {
    if (thrown instanceof OperationFault && !this.#store.isFailure(thrown.cause)) {
      const others = batch.filter((operation) => operation !== thrown.operation);
      this.#queue = [...others, ...this.#queue];
      thrown.operation.failed(this.#store.asError(thrown.cause));
      return;
    }
    const error = this.#store.asError(thrown instanceof OperationFault ? thrown.cause : thrown);
    for (const operation of batch) operation.failed(error);
  }

  #take(): Queued[] {
    let bytes = 0;
    let count = 0;
    for (const operation of this.#queue) {
      if (count > 0 && (count >= maxOperations || bytes + operation.bytes > maxBatchBytes)) break;
      bytes += operation.bytes;
      count++;
    }
    return this.#queue.splice(0, count);
  }
}

class OperationFault extends Error {
  readonly operation: Queued;

  constructor(operation: Queued, cause: unknown) {
    super("An operation failed in an unforeseen way.", { cause });
    this.operation = operation;
  }
}
