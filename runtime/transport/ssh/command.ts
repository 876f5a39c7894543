import type { ClientChannel } from "ssh2";
import { FarcallError } from "../../spec/errors.ts";

export interface CommandResult {
  /** Exit status; null when a signal ended the command. */
  status: number | null;
  stdout: Buffer;
  stderr: string;
}

export interface CommandOptions {
  /** Written to the command's standard input, which is then closed. */
  input?: Uint8Array | AsyncIterable<Uint8Array>;
  signal?: AbortSignal | undefined;
  /** Default 30,000. */
  timeoutMs?: number;
  /** More output than this fails the command. Default 1 MiB. */
  maxOutputBytes?: number;
}

const maxStderrChars = 16 * 1024;
const connectionEndsWithinMs = 1_000;
const pieceBytes = 256 * 1024;

/**
 * Follows a command to its end: feeds it, and gathers what it says. A command that is given up is killed, as far as the host lets one.
 */
export async function follow(
  channel: ClientChannel,
  options: CommandOptions,
  host: string,
  connectionEnded: Promise<FarcallError | undefined>,
): Promise<CommandResult> {
  const { input = new Uint8Array(), signal, timeoutMs = 30_000, maxOutputBytes = 2 ** 20 } = options;
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
  const stdout: Buffer[] = [];
  let bytes = 0;
  let stderr = "";
  let status: number | null = null;
  const giveUp = (error: Error) => {
    reject(error);
    kill(channel);
    channel.destroy();
  };
  const late = () => giveUp(new FarcallError("timeout", `A command on ${host} did not end in ${timeoutMs / 1000} s.`));
  const timer = setTimeout(late, timeoutMs);
  const abort = () => giveUp(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  channel.on("data", (part: Buffer) => {
    bytes += part.byteLength;
    if (bytes <= maxOutputBytes) stdout.push(part);
    else giveUp(new FarcallError("protocol.invalid", `${host} answers with more than ${maxOutputBytes} bytes.`));
  });
  channel.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-maxStderrChars)));
  let exited = false;
  channel.on("exit", (code: number | null) => {
    status = code;
    exited = true;
  });
  channel.on("error", (error: Error) => reject(error));
  channel.on("close", () => {
    if (exited) return resolve({ status, stdout: Buffer.concat(stdout), stderr });
    // Without a word on how the command ended it was most likely the connection that did, which is told next.
    const unknown = new FarcallError("connection.lost", `${host} does not say how a command ended.`);
    const wait = setTimeout(() => reject(unknown), connectionEndsWithinMs);
    void connectionEnded.then((error) => {
      clearTimeout(wait);
      reject(error ?? unknown);
    });
  });
  try {
    signal?.throwIfAborted();
    // A command that does not read to the end closes its input: what became of it says its status.
    await Promise.race([write(channel, input, promise).catch(reject), promise]);
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Asks sshd to kill the command, which otherwise goes on without its streams. ssh2 does not send that once the input
 * has ended, though sshd takes it. (sshd does it for all users but root.)
 */
function kill(channel: ClientChannel): void {
  const { outgoing, _client: client } = channel as unknown as {
    outgoing?: { id: number; state: string };
    _client?: { _protocol?: { signal?(id: number, name: string): void } };
  };
  if (outgoing?.state === "open" || outgoing?.state === "eof") client?._protocol?.signal?.(outgoing.id, "KILL");
}

async function write(
  channel: ClientChannel,
  input: Uint8Array | AsyncIterable<Uint8Array>,
  ended: Promise<unknown>,
): Promise<void> {
  let over = false;
  const end = ended.then(
    () => void (over = true),
    () => void (over = true),
  );
  for await (const part of input instanceof Uint8Array ? pieces(input) : input) {
    if (over || !channel.writable) return;
    if (!channel.write(part)) await Promise.race([drained(channel), end]);
  }
  channel.end();
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

function drained(channel: ClientChannel): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      channel.off("drain", done);
      channel.off("close", done);
      resolve();
    };
    channel.on("drain", done);
    channel.on("close", done);
  });
}
