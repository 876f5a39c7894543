import type { Duplex } from "node:stream";
import type { Client, ClientChannel } from "ssh2";
import { FarcallError } from "../../spec/errors.ts";
import { setReferenced } from "../stream.ts";
import { caughtUp } from "./asking.ts";
import { type CommandOptions, type CommandResult, follow } from "./command.ts";
import { defaultTimeoutMs, type Login, login, type SshOptions } from "./login.ts";
import { Sessions } from "./sessions.ts";
import { SocketStream } from "./socketStream.ts";
import { type DoOthersAnswer, Silence } from "./silence.ts";
import { closedHere, lost, noAnswer, refused, unreachableThrough } from "./sshErrors.ts";
import type { SshTarget } from "./target.ts";

type TakeChannel = (error: Error | undefined, channel: ClientChannel) => void;

const politeCloseMs = 1_000;
/** As machines know themselves, whatever their names. */
const loopback = "127.0.0.1";

export interface ShellTerminal {
  term: string;
  columns: number;
  rows: number;
}

export interface Shell {
  stream: Duplex;
  /** Gives its exit status. */
  ended: Promise<number>;
  resize(columns: number, rows: number): void;
}

/**
 * A connection to the sshd of one machine. Everything that goes to that machine goes over it: commands, files, and
 * streams to sockets there and from ports there. Nothing is listened on at this side.
 */
export class SshConnection implements AsyncDisposable {
  readonly target: SshTarget;
  /** Resolves when the connection is gone, with the reason unless it was closed here. */
  readonly closed: Promise<FarcallError | undefined>;
  readonly #client: Client;
  readonly #stream: Duplex;
  readonly #through: SshConnection | undefined;
  readonly #silence: Silence;
  readonly #sessions = new Sessions();
  /** Who takes streams from a port of the machine, by port. */
  readonly #listeners = new Map<number, (stream: Duplex) => void>();
  /** Streams that are being opened. */
  readonly #opening = new Set<(reason: FarcallError) => void>();
  #closing = false;
  /** Streams and commands for the sake of which the process must not end. */
  #holds = 0;
  /** Set once it is gone, with the reason unless it was closed here. */
  #gone: { reason: FarcallError | undefined } | undefined;

  private constructor(target: SshTarget, { client, stream }: Login, through: SshConnection | undefined) {
    this.target = target;
    this.#client = client;
    this.#stream = stream;
    this.#through = through;
    setReferenced(stream, false);
    client.on("tcp connection", ({ destPort }, accept, reject) => {
      const take = this.#listeners.get(destPort);
      if (take) take(this.#socket(accept()));
      else reject();
    });
    let reason: Error | undefined;
    this.closed = new Promise((resolve) => {
      client.on("error", (error: Error) => {
        reason ??= error;
        // A silent link would keep the socket for as long as the system goes on trying.
        stream.destroy();
      });
      client.on("close", () => {
        void through?.close();
        this.#gone = { reason: this.#closing ? undefined : lost(target, reason) };
        for (const fail of this.#opening) fail(this.#gone.reason ?? closedHere(target));
        resolve(this.#gone.reason);
      });
    });
    this.#silence = new Silence(client, stream, this.closed);
  }

  /**
   * Connects and logs in, through the target's jump host where it has one. Rejects with a code that begins with
   * `ssh.`, or the signal's reason.
   */
  static async open(target: SshTarget, options: SshOptions): Promise<SshConnection> {
    options.signal?.throwIfAborted();
    if (!target.jump) return new SshConnection(target, await login(target, options, undefined), undefined);
    const through = await SshConnection.open(target.jump, options);
    try {
      const stream = await dialThrough(through, target, options);
      return new SshConnection(target, await login(target, options, stream), through);
    } catch (error) {
      await through.close();
      throw error;
    }
  }

  get isClosed(): boolean {
    return this.#gone !== undefined;
  }

  /** Has the connection given up sooner when the machine is silent and `doOthersAnswer` says that others are not. */
  compareWith(doOthersAnswer: DoOthersAnswer): void {
    this.#silence.doOthersAnswer = doOthersAnswer;
  }

  /**
   * Runs a command in the user's login shell, whichever that is. `command` is one of Farcall's own constants: what
   * comes from anywhere else goes in as input. Its time counts from when it begins: it may wait for others to end.
   */
  async run(command: string, options: CommandOptions = {}): Promise<CommandResult> {
    const { name } = this.target;
    const release = await this.#sessions.forCommand(options.signal);
    try {
      return await this.#open(
        (take) => this.#client.exec(command, take),
        (channel) => follow(channel, options, name, this.closed),
        options.signal,
      );
    } finally {
      // To sshd a session lasts until it has read of its end: the next one must not come with the same packet.
      void caughtUp(this.#client, this.closed).then(release);
    }
  }

  /** A login shell, in a terminal where one is described. `ended` gives its exit status. */
  async shell(terminal: ShellTerminal | undefined): Promise<Shell> {
    const leave = this.#sessions.forShell();
    const pty = terminal ? { term: terminal.term, cols: terminal.columns, rows: terminal.rows } : false;
    const follow = (channel: ClientChannel) => {
      let status = 0;
      channel.stderr.pipe(process.stderr, { end: false });
      channel.on("exit", (code: number | null) => (status = code ?? 1));
      const ended = new Promise<number>((resolve) => channel.once("close", () => resolve(status)));
      const release = this.#hold();
      void ended
        .then(release)
        .then(() => caughtUp(this.#client, this.closed))
        .then(leave);
      return {
        stream: channel,
        ended,
        resize: (columns: number, rows: number) => channel.setWindow(rows, columns, 0, 0),
      };
    };
    try {
      return await this.#open((take) => this.#client.shell(pty, take), follow, undefined);
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** A stream to a unix socket on the machine. It keeps the process alive until told otherwise, as a socket does. */
  dialSocket(path: string, signal?: AbortSignal): Promise<Duplex> {
    return this.#dial((take) => this.#client.openssh_forwardOutStreamLocal(path, take), signal);
  }

  /** A stream to a TCP port as seen from the machine. */
  dialTcp(host: string, port: number, signal?: AbortSignal): Promise<Duplex> {
    return this.#dial((take) => this.#client.forwardOut(loopback, 0, host, port, take), signal);
  }

  /**
   * Listens on a port of the machine's own loopback, and gives each stream that comes from there. Rejects with
   * `ssh.refused` when the port is taken, or the machine does not let this user listen. Ends with the connection, or
   * when the result is called.
   */
  async listenTcp(port: number, take: (stream: Duplex) => void, signal?: AbortSignal): Promise<() => void> {
    if (this.#listeners.has(port)) throw refused(this.target, new Error(`port ${port} is taken`));
    const end = () => {
      this.#listeners.delete(port);
      try {
        // Of a connection that has ended meanwhile ssh2 says so by throwing.
        this.#client.unforwardIn(loopback, port, () => undefined);
      } catch {
        return;
      }
    };
    // Who connects in the moment in which the machine listens comes before its answer is passed on.
    this.#listeners.set(port, take);
    try {
      await this.#ask<number, void>(
        (answer) => this.#client.forwardIn(loopback, port, answer),
        () => undefined,
        signal,
        end,
      );
      return end;
    } catch (error) {
      this.#listeners.delete(port);
      throw error;
    }
  }

  /** Ends the connection and waits until it is gone. Twice is fine. */
  async close(): Promise<void> {
    if (!this.isClosed) {
      this.#closing = true;
      this.#client.end();
      const forced = setTimeout(() => this.#stream.destroy(), politeCloseMs);
      await this.closed;
      clearTimeout(forced);
    }
    await this.#through?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Keeps the process alive until the result is called. */
  #hold(): () => void {
    if (this.#holds++ === 0) setReferenced(this.#stream, true);
    let held = true;
    return () => {
      if (held && --this.#holds === 0) setReferenced(this.#stream, false);
      held = false;
    };
  }

  #dial(open: (take: TakeChannel) => void, signal: AbortSignal | undefined): Promise<Duplex> {
    return this.#open(open, (channel) => this.#socket(channel), signal);
  }

  #socket(channel: ClientChannel): SocketStream {
    return new SocketStream(
      channel,
      () => this.#gone,
      () => this.#hold(),
    );
  }

  /**
   * Opens a channel and gives what `use` makes of it. That is called in the moment in which the channel is there: all
   * of a short command may come in one piece, and who waits for a promise in between misses how it ended.
   */
  #open<R>(
    open: (take: TakeChannel) => void,
    use: (channel: ClientChannel) => R | Promise<R>,
    signal: AbortSignal | undefined,
  ): Promise<R> {
    return this.#ask(open, use, signal, (channel) => channel.destroy());
  }

  /** Asks the machine for something, and gives what `use` makes of it. What comes too late is given to `drop`. */
  async #ask<T, R>(
    ask: (answer: (error: Error | undefined, given: T) => void) => void,
    use: (given: T) => R | Promise<R>,
    signal: AbortSignal | undefined,
    drop: (given: T) => void,
  ): Promise<R> {
    signal?.throwIfAborted();
    if (this.#gone) throw this.#gone.reason ?? closedHere(this.target);
    const opened = Promise.withResolvers<R>();
    const abort = () => opened.reject(signal?.reason as Error);
    signal?.addEventListener("abort", abort, { once: true });
    this.#opening.add(opened.reject);
    const release = this.#hold();
    let wanted = true;
    try {
      ask((error, given) => {
        if (error) opened.reject(refused(this.target, error));
        else if (wanted) opened.resolve(use(given));
        else drop(given);
      });
      return await opened.promise;
    } catch (error) {
      wanted = false;
      // Between the end of the stream and that of the connection ssh2 refuses by throwing.
      throw error instanceof FarcallError || signal?.aborted ? error : refused(this.target, error as Error);
    } finally {
      release();
      this.#opening.delete(opened.reject);
      signal?.removeEventListener("abort", abort);
    }
  }
}

/** The jump host may wait for minutes for a machine that does not answer. */
async function dialThrough(through: SshConnection, target: SshTarget, options: SshOptions): Promise<Duplex> {
  const { signal, timeoutMs = defaultTimeoutMs } = options;
  const late = AbortSignal.timeout(timeoutMs);
  try {
    return await through.dialTcp(target.host, target.port, signal ? AbortSignal.any([signal, late]) : late);
  } catch (error) {
    if (error === late.reason) throw noAnswer(target, timeoutMs);
    throw error instanceof FarcallError && error.code === "ssh.refused" ? unreachableThrough(target, error) : error;
  }
}
