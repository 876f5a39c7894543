import { globSync, readFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
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

  /** Hosts that it names, leaving out patterns. */
  get hosts(): string[] {
    const names = this.#config.flatMap((line) =>
      "param" in line && line.param.toLowerCase() === "host"
        ? [line.value].flat().map((word) => (typeof word === "string" ? word : word.val))
        : [],
    );
    return [...new Set(names)].filter((name) => /^[^*?!\s]+$/.test(name));
  }

  forHost(host: string, user: string | undefined): HostConfig {
    const asked = user === undefined ? { Host: host } : { Host: host, User: user };
    // Farcall runs nothing that a configuration names: what `Match exec` stands above does not apply.
    const said = this.#config.compute(asked, { ignoreCase: true, matchExec: false });
    const values = (name: string): string[] | undefined => {
      const found = said[name.toLowerCase()];
      return found === undefined ? undefined : [found].flat();
    };
    const value = (name: string): string | undefined => values(name)?.join(" ");
    const hostName = value("HostName") && withTokens(value("HostName")!, { h: host });
    const expand = (path: string): string => this.#expand(path, host, hostName, user ?? value("User"));
    const files = (name: string, otherwise: string[]): string[] =>
      (values(name) ?? otherwise).filter((file) => file !== "none").map(expand);
    const inFolder = (...names: string[]): string[] => names.map((name) => join(this.#folder, name));
    return {
      hostName,
      user: value("User"),
      port: portOf(value("Port"), host),
      identityFiles: files("IdentityFile", inFolder(...defaultIdentities)),
      identitiesOnly: value("IdentitiesOnly")?.toLowerCase() === "yes",
      agentSocket: this.#agentSocket(value("IdentityAgent"), expand),
      hostKeyAlias: value("HostKeyAlias"),
      knownHostsFiles: [
        ...files("UserKnownHostsFile", inFolder("known_hosts", "known_hosts2")),
        ...files("GlobalKnownHostsFile", ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]),
      ],
      proxyJump: unlessNone(value("ProxyJump")),
      proxyCommand: unlessNone(value("ProxyCommand")),
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
    const tokens = { d: home, h: hostName ?? host, n: host, r: user ?? userInfo().username, u: userInfo().username };
    const expanded = withTokens(path.replace(/^~(?=$|\/)/, home), tokens);
    return isAbsolute(expanded) ? expanded : join(this.#folder, expanded);
  }
}

function withTokens(text: string, tokens: Record<string, string>): string {
  return text.replace(/%(.)/g, (whole, token: string) => (token === "%" ? "%" : (tokens[token] ?? whole)));
}

function unlessNone(said: string | undefined): string | undefined {
  return said?.toLowerCase() === "none" ? undefined : said;
}

function portOf(said: string | undefined, host: string): number | undefined {
  if (said === undefined) return undefined;
  const port = Number(said);
  if (Number.isInteger(port) && port > 0 && port <= 65_535) return port;
  throw new FarcallError("spec.invalid", `The ssh config gives ${host} the Port ${said}, which is none.`);
}

/**
 * Puts what `Include` names in its place. The block that it stands in goes on behind it, whatever blocks it brings: as
 * in OpenSSH, but that blocks of a file that is included below a `Host` count for all hosts.
 */
function withIncludes(text: string, folder: string, depth = 0): string {
  let block = "Host *";
  return text
    .split(/\r?\n/)
    .map((line) => {
      if (/^\s*(Host|Match)[\s=]/i.test(line)) block = line;
      const named = /^\s*Include(?:\s*=\s*|\s+)(.+?)\s*$/i.exec(line)?.[1];
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
