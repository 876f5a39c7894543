/**
 * What may go wrong, as a table of stable codes, and the one error class that carries them.
 *
 * A code is a promise: scripts may branch on it, so it is never renamed. The number beside it is the
 * exit status the command line ends with: 1 when the user's function or an input failed, 2 when the
 * request or the set-up is wrong.
 */
const errorCodes = {
  usage: 2,
  "name.invalid": 2,
  "spec.invalid": 2,
  "input.invalid": 2,
  "home.unusable": 2,
  "disk.full": 2,

  "bundle.file-missing": 2,
  "bundle.compile": 2,
  "bundle.export-unknown": 2,
  "bundle.export-not-function": 2,
  "bundle.import-failed": 2,

  "env.install-failed": 2,
  "env.unknown": 2,
  "env.lockfile-invalid": 2,

  "cluster.unknown": 2,
  "cluster.changed": 2,
  "cluster.state": 2,
  "cluster.busy": 2,
  "registry.corrupt": 2,
  "node.unsupported": 2,
  "node.install-failed": 2,
  "node.unreachable": 2,
  "ssh.unreachable": 2,
  "ssh.timeout": 2,
  "ssh.auth": 2,
  "ssh.refused": 2,
  "ssh.host-key-unknown": 2,
  "ssh.host-key-changed": 2,
  "ssh.known-hosts": 2,
  "agent.start-failed": 2,
  "agent.unreachable": 2,
  "agent.version": 2,
  "agent.stopping": 2,
  "agent.auth": 2,
  "connection.lost": 2,
  "protocol.invalid": 2,
  timeout: 2,

  "module.unknown": 2,
  "run.unknown": 2,
  "run.mismatch": 2,
  "run.state": 2,
  "queue.back-pressure": 2,
  "queue.corrupt": 2,
  internal: 2,

  "value.unserializable": 1,
  "value.too-large": 1,
  "value.invalid": 1,

  "item.timeout": 1,
  "item.failed": 1,
  "item.poison": 1,
  "run.cancelled": 1,
  "run.cost": 1,
  "worker.exited": 1,
  "worker.killed": 1,
  "worker.out-of-memory": 1,
  "worker.crashed": 1,
} as const satisfies Record<string, 1 | 2>;

export type ErrorCode = keyof typeof errorCodes;

export interface FarcallErrorOptions {
  /** What the person can do about it, as one sentence. */
  hint?: string;
  cause?: unknown;
  /** The same request may succeed if it is sent again. */
  retryable?: boolean;
}

/** An error of Farcall's own, as opposed to one thrown by the user's function. */
export class FarcallError extends Error {
  override readonly name = "FarcallError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: FarcallErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.retryable = options.retryable ?? false;
  }

  get exitStatus(): 1 | 2 {
    return errorCodes[this.code];
  }
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(errorCodes, code);
}

/** Anything that was thrown as an error of Farcall's, `internal` unless it is one. */
export function asFarcallError(thrown: unknown): FarcallError {
  return thrown instanceof FarcallError ? thrown : new FarcallError("internal", String(thrown), { cause: thrown });
}

/** The message of anything that was thrown, which need not be an Error. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  try {
    return String(thrown);
  } catch {
    return "a value that cannot be shown";
  }
}

const fullDiskCodes = new Set(["ENOSPC", "EDQUOT"]);

/** True when `thrown` says that the disk or the quota is full, from the file system or from SQLite. */
export function isDiskFull(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const { code, errcode } = thrown as { code?: unknown; errcode?: unknown };
  const sqliteFull = 13; // SQLITE_FULL, https://sqlite.org/rescode.html#full
  return (typeof code === "string" && fullDiskCodes.has(code)) || errcode === sqliteFull;
}
