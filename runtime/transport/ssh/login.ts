import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import ssh2, { type Client } from "ssh2";
import { FarcallError } from "../../spec/errors.ts";
import { authHandler, type SshPrompter } from "./auth.ts";
import { type HostKeyTrust, hostKeyAlgorithms, verifyHostKey } from "./hostKeys.ts";
import { PausingTimer } from "./pausingTimer.ts";
import { loginFailed, noAnswer } from "./sshErrors.ts";
import type { SshTarget } from "./target.ts";
import { writtenTogether } from "./writtenTogether.ts";

export interface SshOptions {
  hostKeys: HostKeyTrust;
  /** Asked for passphrases, passwords and unknown host keys. Without it nothing is asked, and what needs it fails. */
  prompter?: SshPrompter | undefined;
  signal?: AbortSignal | undefined;
  /** For connecting and logging in to each machine on the way, time in which a person is asked left aside. Default 20,000. */
  timeoutMs?: number;
}

export interface Login {
  client: Client;
  /** What the client talks over: destroyed, the connection is gone, whatever state ssh2 has it in. */
  stream: Duplex;
}

export const defaultTimeoutMs = 20_000;

/** Without its native code ssh2 does the rest in JavaScript, which is slow; Node's own AES-GCM is not. */
const ciphers = [
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
  "aes128-ctr",
  "aes256-ctr",
  "chacha20-poly1305@openssh.com",
] as const;

/** Connects, or takes `through`, a stream that ends at the target's sshd, and logs in. */
export async function login(target: SshTarget, options: SshOptions, through: Duplex | undefined): Promise<Login> {
  const { hostKeys, signal, timeoutMs = defaultTimeoutMs } = options;
  const client = new ssh2.Client();
  const clock = new PausingTimer(timeoutMs);
  const prompter = options.prompter && clock.whileAsking(options.prompter);
  const ask = prompter?.confirmHostKey.bind(prompter) ?? hostKeys.ask;
  const trust: HostKeyTrust = { ...hostKeys, ask };
  const tried: string[] = [];
  let refusal: Error | undefined;
  const ready = Promise.withResolvers<void>();
  const abort = () => ready.reject(signal?.reason as Error);
  client.on("ready", () => ready.resolve());
  client.on("error", (error: Error & { level?: string }) => {
    // A key that cannot be signed with: ssh2 goes on to the next one.
    if (error.level !== "agent") ready.reject(refusal ?? loginFailed(target, error, tried));
  });
  client.on("close", () => {
    ready.reject(refusal ?? loginFailed(target, new Error("the connection was closed"), tried));
  });
  const stream = writtenTogether(through ?? dial(target));
  try {
    const serverHostKey = hostKeyAlgorithms(target, trust) as never;
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort, { once: true });
    clock.start(() => ready.reject(noAnswer(target, timeoutMs)));
    client.connect({
      sock: stream,
      username: target.user,
      readyTimeout: 0,
      algorithms: { serverHostKey, cipher: [...ciphers] },
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
    return { client, stream };
  } catch (error) {
    stream.destroy();
    throw error instanceof FarcallError || signal?.aborted ? error : loginFailed(target, error as Error, tried);
  } finally {
    clock.stop();
    signal?.removeEventListener("abort", abort);
  }
}

function dial({ host, port }: SshTarget): Socket {
  // Each small message would otherwise wait up to 40 ms for the answer to the one before.
  const socket = connect({ host, port, noDelay: true });
  // Whoever talks over it hears of errors as well; one that comes before or after must not end the process.
  return socket.on("error", () => undefined);
}
