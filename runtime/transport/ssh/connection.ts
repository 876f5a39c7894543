import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import ssh2, { type Client, type ClientChannel } from "ssh2";
import { FarcallError, messageOf } from "../../spec/errors.ts";
import { authHandler, type SshPrompter } from "./auth.ts";
import { type HostKeyTrust, hostKeyAlgorithms, verifyHostKey } from "./hostKeys.ts";
import { setReferenced } from "../stream.ts";
import type { SshTarget } from "./target.ts";

/**
 * A connection to the sshd of one machine. Everything that goes to that machine goes over it: commands, files, and
 * streams to sockets there. Nothing is listened on at this side.
 */
export interface SshOptions {
  hostKeys: HostKeyTrust;
  /** Asked for passphrases, passwords and unknown host keys. Without it nothing is asked, and what needs it fails. */
  prompter?: SshPrompter | undefined;
  signal?: AbortSignal | undefined;
  /** For connecting and logging in, time in which a person is asked left aside. Default 20,000. */
  timeoutMs?: number;
}

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

const keepaliveEveryMs = 5_000;
/** So many unanswered in a row mean that the link is dead; counted, as this process may have slept in between. */
const keepalivesMissed = 3;
const maxStderrChars = 16 * 1024;

/** Without these natives ssh2 does the rest in JavaScript, which is slow; Node's own AES-GCM is not. */
const ciphers = [
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
  "aes128-ctr",
  "aes256-ctr",
  "chacha20-poly1305@openssh.com",
] as const;

export class SshConnection implements AsyncDisposable {
  readonly target: SshTarget;
  /** Resolves when the connection is gone, with the reason unless it was closed here. */
  readonly closed: Promise<FarcallError | undefined>;
  readonly #client: Client;
  readonly #through: SshConnection | undefined;
  readonly #socket: Socket | Duplex;
  #isClosed = false;
  #closing = false;
  /** Streams and commands for the sake of which the process must not end. */
  #holds = 0;

  private constructor(target: SshTarget, client: Client, socket: Socket | Duplex, through: SshConnection | undefined) {
    this.target = target;
    this.#client = client;
    this.#socket = socket;
    this.#through = through;
    let reason: Error | undefined;
    this.closed = new Promise((resolve) => {
      client.on("error", (error: Error) => (reason ??= error));
      client.on("close", () => {
        this.#isClosed = true;
        void through?.close();
        resolve(
          this.#closing
            ? undefined
            : new FarcallError("connection.lost", `The SSH connection to ${target.name} is lost: ${said(reason)}.`, {
                ...(reason === undefined ? {} : { cause: reason }),
                retryable: true,
              }),
        );
      });
    });
  }

  /**
   * Connects and logs in, through the target's jump host where it has one. Rejects with a code that begins with
   * `ssh.`, or the signal's reason.
   */
  static async open(target: SshTarget, options: SshOptions): Promise<SshConnection> {
    options.signal?.throwIfAborted();
    if (!target.jump) return SshConnection.#login(target, options, undefined);
    const through = await SshConnection.open(target.jump, options);
    try {
      return await SshConnection.#login(target, options, through);
    } catch (error) {
      await through.close();
      throw error;
    }
  }

  static async #login(
    target: SshTarget,
    options: SshOptions,
    through: SshConnection | undefined,
  ): Promise<SshConnection> {
    const { hostKeys, signal, timeoutMs = 20_000 } = options;
    const socket =
      (await through?.dialTcp(target.host, target.port, signal)) ??
      connect({ host: target.host, port: target.port, noDelay: true });
    const client = new ssh2.Client();
    const connection = new SshConnection(target, client, socket, through);
    const clock = new PausingTimer(timeoutMs);
    const prompter = options.prompter && clock.whileAsking(options.prompter);
    const trust: HostKeyTrust = prompter
      ? { ...hostKeys, ask: (question) => prompter.confirmHostKey(question) }
      : hostKeys;
    const tried: string[] = [];
    let refusal: Error | undefined;
    const ready = Promise.withResolvers<void>();
    const abort = () => ready.reject(signal?.reason as Error);
    signal?.addEventListener("abort", abort, { once: true });
    clock.start(() => ready.reject(noAnswer(target, timeoutMs)));
    client.on("ready", () => ready.resolve());
    client.on("error", (error) => ready.reject(refusal ?? asSshError(target, error, tried)));
    client.on("close", () =>
      ready.reject(refusal ?? asSshError(target, new Error("the connection was closed"), tried)),
    );
    try {
      client.connect({
        sock: socket,
        username: target.user,
        readyTimeout: 0,
        algorithms: { serverHostKey: hostKeyAlgorithms(target, trust) as never, cipher: [...ciphers] },
        hostVerifier: (key: Buffer, accept: (valid: boolean) => void) => {
          verifyHostKey(target, key, trust).then(
            () => accept(true),
            (error: Error) => {
              refusal = error;
              accept(false);
            },
          );
        },
        authHandler: authHandler(target, prompter, tried),
      });
      await ready.promise;
      connection.#watch();
      connection.#release();
      return connection;
    } catch (error) {
      connection.#closing = true;
      client.destroy();
      throw error instanceof FarcallError || error === signal?.reason
        ? error
        : asSshError(target, error as Error, tried);
    } finally {
      clock.stop();
      signal?.removeEventListener("abort", abort);
    }
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Runs a command in the user's login shell, whichever that is. `command` is one of Farcall's own constants: what
   * comes from anywhere else goes in as input.
   */
  async run(command: string, options: CommandOptions = {}): Promise<CommandResult> {
    this.#hold();
    try {
      return await this.#run(command, options);
    } finally {
      this.#release();
    }
  }

  async #run(command: string, options: CommandOptions): Promise<CommandResult> {
    const { input, signal, timeoutMs = 30_000, maxOutputBytes = 2 ** 20 } = options;
    const channel = await this.#channel<ClientChannel>((take) => this.#client.exec(command, take), signal);
    const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
    const stdout: Buffer[] = [];
    let bytes = 0;
    let stderr = "";
    let status: number | null = null;
    const giveUp = (error: Error) => {
      reject(error);
      channel.destroy();
    };
    const timer = setTimeout(
      () =>
        giveUp(
          new FarcallError("timeout", `A command on ${this.target.name} did not end within ${timeoutMs / 1000} s.`),
        ),
      timeoutMs,
    );
    const abort = () => giveUp(signal?.reason as Error);
    signal?.addEventListener("abort", abort, { once: true });
    channel.on("data", (part: Buffer) => {
      bytes += part.byteLength;
      if (bytes > maxOutputBytes)
        giveUp(
          new FarcallError("protocol.invalid", `${this.target.name} answers with more than ${maxOutputBytes} bytes.`),
        );
      else stdout.push(part);
    });
    channel.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-maxStderrChars)));
    channel.on("exit", (code: number | null) => (status = code));
    channel.on("error", (error: Error) => reject(error));
    channel.on("close", () => {
      if (this.#isClosed)
        void this.closed.then((reason) =>
          reject(reason ?? new FarcallError("connection.lost", "The connection was closed.")),
        );
      else resolve({ status, stdout: Buffer.concat(stdout), stderr });
    });
    try {
      // A command that does not read to the end closes its input: what became of it says its status.
      await Promise.race([write(channel, input ?? new Uint8Array()).catch(() => undefined), promise]);
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** A login shell, in a terminal where one is described. `ended` gives its exit status. */
  async shell(
    terminal: { term: string; columns: number; rows: number } | undefined,
  ): Promise<{ stream: Duplex; ended: Promise<number>; resize(columns: number, rows: number): void }> {
    this.#hold();
    const pty = terminal ? { term: terminal.term, cols: terminal.columns, rows: terminal.rows } : false;
    const channel = await this.#channel<ClientChannel>((take) => this.#client.shell(pty, take), undefined);
    let status = 0;
    channel.stderr.pipe(process.stderr, { end: false });
    channel.on("exit", (code: number | null) => (status = code ?? 1));
    const ended = new Promise<number>((resolve) => channel.once("close", () => resolve(status)));
    void ended.then(() => this.#release());
    return { stream: channel, ended, resize: (columns, rows) => channel.setWindow(rows, columns, 0, 0) };
  }

  /** A stream to a unix socket on the machine. It keeps the process alive until told otherwise, as a socket does. */
  async dialSocket(path: string, signal?: AbortSignal): Promise<Duplex> {
    return this.#held(
      await this.#channel<Duplex>((take) => this.#client.openssh_forwardOutStreamLocal(path, take), signal),
    );
  }

  /** A stream to a TCP port as seen from the machine. */
  async dialTcp(host: string, port: number, signal?: AbortSignal): Promise<Duplex> {
    return this.#held(
      await this.#channel<Duplex>((take) => this.#client.forwardOut("127.0.0.1", 0, host, port, take), signal),
    );
  }

  /** Ends the connection and waits until it is gone. Twice is fine. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#closing = true;
    this.#client.end();
    const forced = setTimeout(() => this.#client.destroy(), 1_000);
    await this.closed;
    clearTimeout(forced);
    await this.#through?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Gives a stream the `ref` and `unref` of a socket. */
  #held(stream: Duplex): Duplex {
    let held = true;
    const hold = (keep: boolean) => {
      if (keep === held) return;
      held = keep;
      if (keep) this.#hold();
      else this.#release();
    };
    this.#hold();
    stream.once("close", () => hold(false));
    return Object.assign(stream, { ref: () => hold(true), unref: () => hold(false) });
  }

  #hold(): void {
    if (this.#holds++ === 0) setReferenced(this.#socket, true);
  }

  #release(): void {
    if (--this.#holds <= 0) {
      this.#holds = 0;
      setReferenced(this.#socket, false);
    }
  }

  /**
   * Notices when the other side is silent. ssh2's own way of doing that keeps the process alive; what is asked here
   * instead is to end a forwarding that there is not, which every server answers.
   */
  #watch(): void {
    let unanswered = 0;
    const give = (why: string) => {
      clearInterval(timer);
      this.#client.emit("error", new Error(why));
      this.#client.destroy();
    };
    const timer = setInterval(() => {
      if (this.#isClosed || this.#closing) return clearInterval(timer);
      if (unanswered++ >= keepalivesMissed) return give("it does not answer any more");
      try {
        this.#client.unforwardIn("127.0.0.1", 1, () => (unanswered = 0));
      } catch (error) {
        give(messageOf(error));
      }
    }, keepaliveEveryMs);
    timer.unref();
    void this.closed.then(() => clearInterval(timer));
  }

  async #channel<C extends Duplex>(
    open: (take: (error: Error | undefined, channel: C) => void) => void,
    signal: AbortSignal | undefined,
  ): Promise<C> {
    signal?.throwIfAborted();
    if (this.#isClosed)
      throw (
        (await this.closed) ??
        new FarcallError("connection.lost", `The SSH connection to ${this.target.name} was closed.`)
      );
    const opened = Promise.withResolvers<C>();
    const abort = () => opened.reject(signal?.reason as Error);
    signal?.addEventListener("abort", abort, { once: true });
    let wanted = true;
    this.#hold();
    try {
      open((error, channel) => {
        if (error) opened.reject(refused(this.target, error));
        else if (wanted) opened.resolve(channel);
        else channel.destroy();
      });
      return await Promise.race([
        opened.promise,
        this.closed.then((reason) => {
          throw reason ?? new FarcallError("connection.lost", `The SSH connection to ${this.target.name} was closed.`);
        }),
      ]);
    } catch (error) {
      wanted = false;
      throw error;
    } finally {
      this.#release();
      signal?.removeEventListener("abort", abort);
    }
  }
}

async function write(channel: ClientChannel, input: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
  const parts = input instanceof Uint8Array ? [input] : input;
  for await (const part of parts) {
    if (channel.writable && !channel.write(part)) {
      await new Promise<void>((resolve) => {
        const done = () => {
          channel.off("drain", done);
          channel.off("close", done);
          resolve();
        };
        channel.on("drain", done);
        channel.on("close", done);
      });
    }
    if (!channel.writable) return;
  }
  channel.end();
}

/** A deadline that stands still while a person is asked. */
class PausingTimer {
  #leftMs: number;
  #timer: NodeJS.Timeout | undefined;
  #startedAtMs = 0;
  #act: (() => void) | undefined;
  #asking = 0;

  constructor(ms: number) {
    this.#leftMs = ms;
  }

  start(act: () => void): void {
    this.#act = act;
    this.#run();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#act = undefined;
  }

  whileAsking(prompter: SshPrompter): SshPrompter {
    return {
      passphrase: (keyFile, again) => this.#pause(() => prompter.passphrase(keyFile, again)),
      password: (host, prompt) => this.#pause(() => prompter.password(host, prompt)),
      confirmHostKey: (question) => this.#pause(() => prompter.confirmHostKey(question)),
    };
  }

  async #pause<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#asking++ === 0) {
      clearTimeout(this.#timer);
      this.#leftMs -= performance.now() - this.#startedAtMs;
    }
    try {
      return await ask();
    } finally {
      if (--this.#asking === 0) this.#run();
    }
  }

  #run(): void {
    if (!this.#act) return;
    this.#startedAtMs = performance.now();
    this.#timer = setTimeout(this.#act, Math.max(1_000, this.#leftMs));
  }
}

function noAnswer(target: SshTarget, timeoutMs: number): FarcallError {
  return new FarcallError(
    "ssh.timeout",
    `${target.name} (${target.host}, port ${target.port}) took no login within ${timeoutMs / 1000} s.`,
    {
      hint: "Is the machine up, its address right, and port open to this one?",
      retryable: true,
    },
  );
}

function refused(target: SshTarget, error: Error): FarcallError {
  return new FarcallError("ssh.refused", `${target.name} refuses what was asked for over SSH: ${messageOf(error)}.`, {
    cause: error,
    retryable: true,
  });
}

function asSshError(
  target: SshTarget,
  error: Error & { level?: string; code?: string },
  tried: readonly string[],
): FarcallError {
  const where = `${target.name} (${target.host}, port ${target.port})`;
  if (error.level === "client-authentication") {
    const what = tried.length === 0 ? "There was no key to try." : `Tried were ${tried.join(", ")}.`;
    return new FarcallError("ssh.auth", `${where} does not let ${target.user} in. ${what}`, {
      cause: error,
      hint: "Log in with ssh once to see what works: a key in the ssh-agent, an IdentityFile in the ssh config, or another user.",
    });
  }
  if (error.code === "ENOTFOUND" || error.code === "EAI_AGAIN") {
    return new FarcallError("ssh.unreachable", `There is no host ${target.host}.`, {
      cause: error,
      hint: "Write its address, or the name of a Host in your ssh config.",
      retryable: error.code === "EAI_AGAIN",
    });
  }
  return new FarcallError("ssh.unreachable", `${where} cannot be reached by SSH: ${said(error)}.`, {
    cause: error,
    hint: "Is the machine up, sshd running, and the port right?",
    retryable: true,
  });
}

function said(error: Error | undefined): string {
  if (!error) return "it was closed by the other side";
  return messageOf(error).replace(/\.$/, "");
}
