import { globSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import SSHConfig from "ssh-config";
import { FarcallError, messageOf } from "../../spec/errors.ts";

/** What the user's ssh configuration says of a host. */
export interface HostConfig {
  hostName: string | undefined;
  user: string | undefined;
  port: number | undefined;
  identityFiles: string[];
  identitiesOnly: boolean;
  agentSocket: string | undefined;
  hostKeyAlias: string | undefined;
  knownHostsFiles: string[];
  proxyJump: string | undefined;
  proxyCommand: string | undefined;
}

const defaultIdentities = ["id_ed25519", "id_ecdsa", "id_rsa"];
const maxIncludeDepth = 16;

/** The user's ssh configuration: `~/.ssh/config`, or the file that `FARCALL_SSH_CONFIG` names. */
export class SshConfigFile {
  readonly #config: SSHConfig;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(text: string, folder: string, env: NodeJS.ProcessEnv) {
    this.#config = SSHConfig.parse(text);
    this.#folder = folder;
    this.#env = env;
  }

  /** Reads the configuration; there need not be one. Throws `spec.invalid` when it cannot be read or made sense of. */
  static load(env: NodeJS.ProcessEnv = process.env): SshConfigFile {
    const folder = join(homedir(), ".ssh");
    const named = env["FARCALL_SSH_CONFIG"];
    const file = named || join(folder, "config");
    try {
      return new SshConfigFile(withIncludes(readFileSync(file, "utf8"), folder), folder, env);
    } catch (cause) {
      if (!named && (cause as NodeJS.ErrnoException).code === "ENOENT") return new SshConfigFile("", folder, env);
      throw new FarcallError("spec.invalid", `The ssh config ${file} cannot be read: ${messageOf(cause)}.`, {
        cause,
        hint: "Mend it, or name another file in FARCALL_SSH_CONFIG.",
      });
    }
  }

  forHost(host: string, user: string | undefined): HostConfig {
    const said = this.#config.compute(user === undefined ? { Host: host } : { Host: host, User: user });
    const value = (name: string): string | undefined => {
      const found = Object.entries(said).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
      return Array.isArray(found) ? found.join(" ") : found;
    };
    const values = (name: string): string[] | undefined => {
      const found = Object.entries(said).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
      if (found === undefined) return undefined;
      return Array.isArray(found) ? found : [found];
    };
    const expand = (path: string): string => this.#expand(path, host, value("HostName"), value("User") ?? user);
    const port = Number(value("Port"));
    const files = (name: string, otherwise: string[]): string[] =>
      (values(name)?.flatMap((each) => each.split(/\s+/)) ?? otherwise).filter((file) => file !== "none").map(expand);
    return {
      hostName: value("HostName")?.replaceAll("%h", host).replaceAll("%%", "%"),
      user: value("User"),
      port: Number.isInteger(port) && port > 0 ? port : undefined,
      identityFiles: (values("IdentityFile") ?? defaultIdentities.map((name) => join(this.#folder, name)))
        .filter((file) => file !== "none")
        .map(expand),
      identitiesOnly: value("IdentitiesOnly")?.toLowerCase() === "yes",
      agentSocket: this.#agentSocket(value("IdentityAgent"), expand),
      hostKeyAlias: value("HostKeyAlias"),
      knownHostsFiles: [
        ...files("UserKnownHostsFile", [join(this.#folder, "known_hosts"), join(this.#folder, "known_hosts2")]),
        ...files("GlobalKnownHostsFile", ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]),
      ],
      proxyJump: value("ProxyJump"),
      proxyCommand: value("ProxyCommand"),
    };
  }

  #agentSocket(said: string | undefined, expand: (path: string) => string): string | undefined {
    if (said === "none") return undefined;
    if (said === undefined || said === "SSH_AUTH_SOCK") return this.#env["SSH_AUTH_SOCK"] || undefined;
    return said.startsWith("$") ? this.#env[said.slice(1)] || undefined : expand(said);
  }

  /** The percent signs that ssh_config(5) allows in paths, as far as they can be known before connecting. */
  #expand(path: string, host: string, hostName: string | undefined, user: string | undefined): string {
    const home = homedir();
    const known: Record<string, string> = {
      "%": "%",
      d: home,
      h: hostName ?? host,
      n: host,
      r: user ?? "",
      u: user ?? "",
    };
    const expanded = path.replace(/^~(?=$|\/)/, home).replace(/%([%dhnru])/g, (_, token: string) => known[token]!);
    return isAbsolute(expanded) ? expanded : join(this.#folder, expanded);
  }
}

/** Puts what `Include` names in its place. Below a `Host` or `Match` that block goes on behind it, as in OpenSSH. */
function withIncludes(text: string, folder: string, depth = 0): string {
  let block = "";
  return text
    .split("\n")
    .map((line) => {
      if (/^\s*(Host|Match)\s/i.test(line)) block = line;
      const named = /^\s*Include[\s=]+(.+?)\s*$/i.exec(line)?.[1];
      if (named === undefined) return line;
      if (depth >= maxIncludeDepth) throw new Error(`it includes itself, by way of ${named}`);
      const patterns = named.match(/"[^"]*"|\S+/g) ?? [];
      const included = patterns.flatMap((pattern) => {
        const path = pattern.replaceAll('"', "").replace(/^~(?=\/)/, homedir());
        return globSync(isAbsolute(path) ? path : join(folder, path)).sort();
      });
      const texts = included.map((file) => withIncludes(readFileSync(file, "utf8"), folder, depth + 1));
      return [...texts, block].join("\n");
    })
    .join("\n");
}
