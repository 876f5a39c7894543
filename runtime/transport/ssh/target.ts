import { userInfo } from "node:os";
import { FarcallError } from "../../spec/errors.ts";
import type { SshConfigFile } from "./config.ts";

/** A machine to log in to, with everything settled that a person or their ssh configuration says of it. */
export interface SshTarget {
  /** As the person wrote it, for messages. */
  name: string;
  /** Address or name to connect to. */
  host: string;
  port: number;
  user: string;
  /** Private keys to try, in order; those that do not exist are passed over. */
  identityFiles: string[];
  /** Only `identityFiles`, not every key that the agent holds. */
  identitiesOnly: boolean;
  /** Socket of the ssh-agent; undefined for none. */
  agentSocket: string | undefined;
  /** Name under which the host's key is known, where that is not `host` and `port`. */
  hostKeyAlias: string | undefined;
  knownHostsFiles: string[];
  /** The machine to go through. */
  jump: SshTarget | undefined;
}

interface HostSpec {
  user?: string;
  host: string;
  port?: number;
}

const defaultPort = 22;
const maxJumps = 8;

/**
 * Takes `host`, `user@host`, `user@host:port`, `[v6]:port` and `ssh://user@host:port` apart. What it returns as host
 * begins with a letter or digit and holds no control characters or spaces. Throws `spec.invalid`.
 */
export function parseHost(text: string): HostSpec {
  const rest = text.replace(/^ssh:\/\//, "").replace(/\/$/, "");
  const match =
    /^(?:([^\s:@-][^\s:]*)@)?(?:\[([0-9A-Fa-f:.]+(?:%[\w.]+)?)\]|([A-Za-z0-9_][\w.-]*|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+))(?::(\d{1,5}))?$/.exec(
      rest,
    );
  const host = match?.[2] ?? match?.[3];
  const port = match?.[4] === undefined ? undefined : Number(match[4]);
  if (host === undefined || (port !== undefined && (port < 1 || port > 65_535)) || /\p{Cc}/u.test(text)) {
    throw new FarcallError("spec.invalid", `${JSON.stringify(text)} is not a host.`, {
      hint: "Write it as user@address, user@address:port, or the name of a Host in your ssh config.",
    });
  }
  return { ...(match?.[1] === undefined ? {} : { user: match[1] }), host, ...(port === undefined ? {} : { port }) };
}

/** Settles what the person wrote with what their ssh configuration says of that host. */
export function resolveTarget(text: string, config: SshConfigFile, seen: readonly string[] = []): SshTarget {
  const spec = parseHost(text);
  const said = config.forHost(spec.host, spec.user);
  if (seen.length >= maxJumps) {
    throw new FarcallError(
      "spec.invalid",
      `The ssh config sends ${seen[0] ?? text} through itself (ProxyJump ${text}).`,
    );
  }
  if (said.proxyCommand !== undefined && said.proxyJump === undefined) {
    throw new FarcallError(
      "spec.invalid",
      `The ssh config reaches ${text} by a ProxyCommand, which Farcall does not run.`,
      {
        hint: "Use ProxyJump instead.",
      },
    );
  }
  const jumps = (said.proxyJump ?? "")
    .split(",")
    .map((jump) => jump.trim())
    // `Host *` with a ProxyJump is also about the host that it names.
    .filter((jump) => jump !== "" && parseHost(jump).host !== spec.host);
  // `a,b` means: through a to b, and from there on.
  const jump = jumps.reduce<SshTarget | undefined>((before, next) => {
    const target = resolveTarget(next, config, [...seen, text]);
    return before ? { ...target, jump: before } : target;
  }, undefined);
  return {
    name: text,
    host: said.hostName ?? spec.host,
    port: spec.port ?? said.port ?? defaultPort,
    user: spec.user ?? said.user ?? userInfo().username,
    identityFiles: said.identityFiles,
    identitiesOnly: said.identitiesOnly,
    agentSocket: said.agentSocket,
    hostKeyAlias: said.hostKeyAlias,
    knownHostsFiles: said.knownHostsFiles,
    jump,
  };
}

/** How the target's key is listed in known_hosts files: `host`, or `[host]:port` where that is not 22. */
export function hostKeyName({ host, port, hostKeyAlias }: SshTarget): string {
  if (hostKeyAlias !== undefined) return hostKeyAlias.toLowerCase();
  return port === defaultPort ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}
