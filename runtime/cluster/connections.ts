import { join } from "node:path";
import { withSignal } from "../spec/withSignal.ts";
import { FarcallError } from "../spec/errors.ts";
import { ensurePrivateFolder } from "../spec/home.ts";
import type { SshPrompter } from "../transport/ssh/auth.ts";
import type { SshConnection } from "../transport/ssh/connection.ts";

/**
 * The SSH connections of one client, one for each host, made when first needed, kept, and shared by everything that
 * goes there. One that is lost is made anew for whoever asks next.
 */
export class Connections implements AsyncDisposable {
  readonly #home: string;
  readonly #prompter: SshPrompter | undefined;
  readonly #open = new Map<string, Promise<SshConnection>>();
  readonly #made = new Map<string, SshConnection>();
  #closing = new AbortController();

  /** `home` is `FARCALL_HOME`. Without `prompter` nobody is asked anything. */
  constructor(home: string, prompter: SshPrompter | undefined) {
    this.#home = home;
    this.#prompter = prompter;
  }

  /** Rejects with a code that begins with `ssh.`, or with the signal's reason, which ends the attempt of this caller only. */
  async to(host: string, signal?: AbortSignal): Promise<SshConnection> {
    signal?.throwIfAborted();
    const before = this.#open.get(host);
    if (before) {
      const connection = await withSignal(before, signal);
      if (!connection.isClosed) return connection;
    }
    if (this.#open.get(host) === before) {
      const opening = this.#connect(host);
      this.#open.set(host, opening);
      const forget = () => {
        if (this.#open.get(host) === opening) this.#open.delete(host);
      };
      opening.then((connection) => connection.closed.then(forget), forget);
    }
    return withSignal(this.#open.get(host)!, signal);
  }

  /** The connection that there is at this moment. */
  peek(host: string): SshConnection | undefined {
    const connection = this.#made.get(host);
    return connection?.isClosed ? undefined : connection;
  }

  async #connect(host: string): Promise<SshConnection> {
    const { signal } = this.#closing;
    // SSH is much code, and most of what Farcall does goes without.
    const [{ SshConnection }, { SshConfigFile }, { resolveTarget }] = await Promise.all([
      import("../transport/ssh/connection.ts"),
      import("../transport/ssh/config.ts"),
      import("../transport/ssh/target.ts"),
    ]);
    ensurePrivateFolder(this.#home);
    const connection = await SshConnection.open(resolveTarget(host, SshConfigFile.load()), {
      hostKeys: { ownFile: join(this.#home, "known_hosts") },
      prompter: this.#prompter,
      signal,
    });
    this.#made.set(host, connection);
    return connection;
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    // What is still logging in is not waited for.
    this.#closing.abort(new FarcallError("connection.lost", "The cluster was closed."));
    this.#closing = new AbortController();
    await Promise.allSettled(open.map(async (connection) => (await connection).close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
