import { FarcallError, messageOf } from "../../spec/errors.ts";
import type { SshTarget } from "./target.ts";

export function noAnswer(target: SshTarget, timeoutMs: number): FarcallError {
  return new FarcallError("ssh.timeout", `${whereIs(target)} took no login within ${timeoutMs / 1000} s.`, {
    hint: "Is the machine up, its address right, and port open to this one?",
    retryable: true,
  });
}

/** The machine does not open the stream that it was asked for. */
export function refused(target: SshTarget, error: Error): FarcallError {
  return new FarcallError("ssh.refused", `${target.name} refuses what was asked for over SSH: ${messageOf(error)}.`, {
    cause: error,
    retryable: true,
  });
}

/** Whether the machine does not open such streams for anybody, whatever is at their end. */
export function isForbidden(error: unknown): boolean {
  const administratively = 1; // RFC 4254, 5.1
  return error instanceof FarcallError && (error.cause as { reason?: unknown })?.reason === administratively;
}

/** The jump host does not get through to the machine behind it. */
export function unreachableThrough(target: SshTarget, error: Error): FarcallError {
  return new FarcallError("ssh.unreachable", `${whereIs(target)} cannot be reached: ${messageOf(error)}`, {
    cause: error,
    hint: "Is the machine up, and can the jump host reach it?",
    retryable: true,
  });
}

export function lost(target: SshTarget, reason: Error | undefined): FarcallError {
  return new FarcallError("connection.lost", `The SSH connection to ${target.name} is lost: ${said(reason)}.`, {
    ...(reason === undefined ? {} : { cause: reason }),
    retryable: true,
  });
}

export function closedHere(target: SshTarget): FarcallError {
  return new FarcallError("connection.lost", `The SSH connection to ${target.name} was closed.`);
}

/** What ssh2 says of a login that failed, in our words. `tried` is by what it was tried. */
export function loginFailed(
  target: SshTarget,
  error: Error & { level?: string; code?: string | number },
  tried: readonly string[],
): FarcallError {
  const where = whereIs(target);
  const tooMany = /too many authentication failures/i.test(error.message);
  if (error.level === "client-authentication" || tooMany) {
    const what = tried.length === 0 ? "There was no key to try." : `Tried were ${tried.join(", ")}.`;
    const hint = tooMany
      ? "It gives up after so many keys: name the right one as IdentityFile of this host in the ssh config."
      : "Log in with ssh once to see what works: a key in the ssh-agent, an IdentityFile in the ssh config, or another user.";
    return new FarcallError("ssh.auth", `${where} does not let ${target.user} in. ${what}`, { cause: error, hint });
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

function whereIs({ name, host, port, jump }: SshTarget): string {
  return `${name} (${host}, port ${port}${jump ? `, through ${jump.name}` : ""})`;
}

function said(error: Error | undefined): string {
  if (!error) return "it was closed by the other side";
  // What ssh2 says when a connection ends before it is one.
  if (/connection lost before handshake/i.test(error.message)) return "it closed the connection at once";
  return messageOf(error).replace(/\.$/, "");
}
