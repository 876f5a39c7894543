import { appendFile, chmod, mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { FarcallError, messageOf } from "../../spec/errors.ts";
import { type Acquaintance, fingerprintOf, keyTypeOf, KnownHosts } from "./knownHosts.ts";
import { hostKeyName, type SshTarget } from "./target.ts";

/** By what a host's key is judged. There is no way to accept one unseen. */
export interface HostKeyTrust {
  /** Fingerprints that whoever launched the machine knows it by; nothing else counts then. */
  pins?: readonly string[] | undefined;
  /** Farcall's own file of known hosts, where the keys go that a person said yes to. The user's files are only read. */
  ownFile: string;
  /** Asks a person whether an unknown key is that of the host. Without it unknown keys are refused. */
  ask?: ((question: HostKeyQuestion) => Promise<boolean>) | undefined;
}

export interface HostKeyQuestion {
  /** As the person wrote it. */
  host: string;
  address: string;
  /** Such as `ssh-ed25519`. */
  keyType: string;
  /** As `ssh-keygen -l` shows it. */
  fingerprint: string;
}

/** Resolves when `key` is the target's. Throws `ssh.host-key-unknown` or `ssh.host-key-changed`. */
export async function verifyHostKey(target: SshTarget, key: Buffer, trust: HostKeyTrust): Promise<void> {
  const keyType = keyTypeOf(key);
  const fingerprint = fingerprintOf(key);
  if (keyType === undefined)
    throw new FarcallError("ssh.host-key-changed", `${target.name} showed a key that is none.`);
  if (trust.pins) {
    if (trust.pins.includes(fingerprint)) return;
    throw changed(target, fingerprint, trust.pins, "It was pinned when the machine was launched.");
  }
  const known = acquaintance(target, key, trust);
  switch (known.kind) {
    case "known":
      return;
    case "revoked":
      throw new FarcallError(
        "ssh.host-key-changed",
        `The key of ${target.name}, ${fingerprint}, is marked as revoked in ${known.file}, line ${known.line}.`,
        { hint: "Do not connect: somebody else has this key. Ask whoever runs the machine." },
      );
    case "changed": {
      const places = [...new Set(known.known.map(({ file, line }) => `${file}, line ${line}`))].join("; ");
      const prints = known.known.map((each) => each.fingerprint);
      throw changed(
        target,
        fingerprint,
        prints,
        `It is known from ${places}. If the machine was set up anew, remove those lines first.`,
      );
    }
    case "unknown":
  }
  if (!(await askOnce(target, key, trust))) {
    throw new FarcallError(
      "ssh.host-key-unknown",
      `The host ${target.name} is not known: it shows the key ${fingerprint} (${keyType}).`,
      {
        hint: "Compare this with the key of the machine, and log in with ssh once, or run this in a terminal and say yes.",
      },
    );
  }
}

function acquaintance(target: SshTarget, key: Buffer, trust: HostKeyTrust): Acquaintance {
  const known = KnownHosts.read([...target.knownHostsFiles, trust.ownFile]);
  const found = known.check(hostKeyName(target), key);
  // As in OpenSSH a host that is known without a port is the same at any, as long as its key is.
  if (found.kind !== "unknown" || target.hostKeyAlias !== undefined) return found;
  const atAnyPort = known.check(target.host.toLowerCase(), key);
  return atAnyPort.kind === "changed" ? found : atAnyPort;
}

/** Questions that a person has not answered yet: many connections to a new host ask one. */
const asked = new Map<string, Promise<boolean>>();

async function askOnce(target: SshTarget, key: Buffer, trust: HostKeyTrust): Promise<boolean> {
  const { ask } = trust;
  if (!ask) return false;
  const line = `${hostKeyName(target)} ${keyTypeOf(key)} ${key.toString("base64")}\n`;
  const id = `${trust.ownFile}\0${line}`;
  let answer = asked.get(id);
  if (!answer) {
    const question = {
      host: target.name,
      address: target.host,
      keyType: keyTypeOf(key)!,
      fingerprint: fingerprintOf(key),
    };
    answer = ask(question).then(async (yes) => {
      if (yes) await remember(line, trust.ownFile);
      return yes;
    });
    asked.set(id, answer);
    void answer.catch(() => undefined).then(() => asked.delete(id));
  }
  return answer;
}

async function remember(line: string, file: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const before = await readFile(file, "utf8").catch(() => "");
    // A file that a person edited may lack the end of its last line.
    const gap = before === "" || before.endsWith("\n") ? "" : "\n";
    await appendFile(file, `${gap}${line}`, { mode: 0o600 });
    await chmod(file, 0o600);
  } catch (cause) {
    throw new FarcallError("ssh.known-hosts", `The key could not be added to ${file}: ${messageOf(cause)}.`, { cause });
  }
}

/** Signature algorithms to ask the host for: first those of the keys it is known by, so that it shows one of them. */
export function hostKeyAlgorithms(target: SshTarget, trust: HostKeyTrust): string[] {
  const hosts = trust.pins ? undefined : KnownHosts.read([...target.knownHostsFiles, trust.ownFile]);
  const names =
    target.hostKeyAlias === undefined ? [hostKeyName(target), target.host.toLowerCase()] : [hostKeyName(target)];
  const known = names.map((name) => hosts?.typesFor(name) ?? []).find((types) => types.length > 0) ?? [];
  const first = known.flatMap((type) => algorithms.filter(({ keyType }) => keyType === type));
  return [...new Set([...first, ...algorithms].map(({ name }) => name))];
}

/** What ssh2 can verify, best first. RFC 8332 gives RSA keys signatures of their own names. */
const algorithms = [
  { name: "ssh-ed25519", keyType: "ssh-ed25519" },
  { name: "ecdsa-sha2-nistp256", keyType: "ecdsa-sha2-nistp256" },
  { name: "ecdsa-sha2-nistp384", keyType: "ecdsa-sha2-nistp384" },
  { name: "ecdsa-sha2-nistp521", keyType: "ecdsa-sha2-nistp521" },
  { name: "rsa-sha2-512", keyType: "ssh-rsa" },
  { name: "rsa-sha2-256", keyType: "ssh-rsa" },
] as const;

function changed(target: SshTarget, shown: string, known: readonly string[], more: string): FarcallError {
  return new FarcallError(
    "ssh.host-key-changed",
    `${target.name} does not show the key it is known by: it shows ${shown}, and is known by ${known.join(" and ")}.`,
    { hint: `${more} Otherwise somebody may be listening in.` },
  );
}
