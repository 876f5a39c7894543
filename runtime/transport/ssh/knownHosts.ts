import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { FarcallError, messageOf } from "../../spec/errors.ts";

/**
 * The keys by which hosts are known, as OpenSSH lists them: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". Names may be
 * hashed, hold patterns, and be negated. Lines for certificate authorities, and with marks that nobody knows, say nothing about a plain
 * key.
 */
interface KnownKey {
  /** Whether the line is about a host of this name, such as `example.org` or `[example.org]:2222`. */
  isFor(name: string): boolean;
  revoked: boolean;
  type: string;
  key: Buffer;
  file: string;
  line: number;
}

export type Acquaintance =
  | { kind: "known" }
  /** Nothing is known of the host. */
  | { kind: "unknown" }
  /** The host is known by other keys. */
  | { kind: "changed"; known: { fingerprint: string; file: string; line: number }[] }
  | { kind: "revoked"; file: string; line: number };

export class KnownHosts {
  readonly #keys: KnownKey[];

  constructor(keys: KnownKey[]) {
    this.#keys = keys;
  }

  /** Reads files, those that do not exist passed over. Throws `ssh.known-hosts` for one that cannot be read: closed, not open. */
  static read(files: readonly string[]): KnownHosts {
    return new KnownHosts(
      files.flatMap((file) => {
        try {
          return parseKnownHosts(readFileSync(file, "utf8"), file);
        } catch (cause) {
          if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
          throw new FarcallError(
            "ssh.known-hosts",
            `The file of known hosts ${file} cannot be read: ${messageOf(cause)}.`,
            {
              cause,
              hint: "Make it readable: without it nobody can say whether a host is the one it was.",
            },
          );
        }
      }),
    );
  }

  /** What `key`, as the host sent it, is to a host of this name. */
  check(name: string, key: Buffer): Acquaintance {
    const mine = this.#keys.filter((known) => known.isFor(name));
    const revoked = this.#keys.find((known) => known.revoked && isSame(known.key, key) && known.isFor(name));
    if (revoked) return { kind: "revoked", file: revoked.file, line: revoked.line };
    const valid = mine.filter((known) => !known.revoked);
    if (valid.some((known) => isSame(known.key, key))) return { kind: "known" };
    if (valid.length === 0) return { kind: "unknown" };
    return {
      kind: "changed",
      known: valid.map((known) => ({ fingerprint: fingerprintOf(known.key), file: known.file, line: known.line })),
    };
  }

  /** Types of the keys that a host is known by: what to ask it for, or it may show one that nobody has seen. */
  typesFor(name: string): string[] {
    return [...new Set(this.#keys.filter((known) => !known.revoked && known.isFor(name)).map(({ type }) => type))];
  }
}

export function parseKnownHosts(text: string, file: string): KnownKey[] {
  return text.split("\n").flatMap((line, at) => {
    const fields = line.trim().split(/[ \t]+/);
    const mark = fields[0]?.startsWith("@") ? fields.shift() : undefined;
    const [names = "", type = "", base64 = ""] = fields;
    if (names === "" || names.startsWith("#") || base64 === "" || (mark !== undefined && mark !== "@revoked"))
      return [];
    const key = Buffer.from(base64, "base64");
    if (keyTypeOf(key) !== type) return [];
    return [{ isFor: matcher(names), revoked: mark === "@revoked", type, key, file, line: at + 1 }];
  });
}

/** As `ssh-keygen -l` shows it. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** The type that a key in SSH's wire format names: a string behind its length. RFC 4253, section 6.6. */
export function keyTypeOf(key: Buffer): string | undefined {
  if (key.byteLength < 4) return undefined;
  const length = key.readUInt32BE();
  return length > 0 && length <= 64 && length <= key.byteLength - 4 ? key.toString("latin1", 4, 4 + length) : undefined;
}

function matcher(names: string): (name: string) => boolean {
  const hashed = /^\|1\|([^|]+)\|([^|]+)$/.exec(names);
  if (hashed) {
    const salt = Buffer.from(hashed[1]!, "base64");
    const expected = Buffer.from(hashed[2]!, "base64");
    return (name) => isSame(createHmac("sha1", salt).update(name).digest(), expected);
  }
  const patterns = names.split(",").map((text) => {
    const negated = text.startsWith("!");
    const pattern = (negated ? text.slice(1) : text)
      .toLowerCase()
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".");
    return { negated, pattern: new RegExp(`^${pattern}$`) };
  });
  return (name) => {
    const matching = patterns.filter(({ pattern }) => pattern.test(name));
    return matching.length > 0 && matching.every(({ negated }) => !negated);
  };
}

function isSame(left: Buffer, right: Buffer): boolean {
  return left.byteLength === right.byteLength && timingSafeEqual(left, right);
}
