import { appendFile, chmod } from "node:fs/promises";
import { FarcallError } from "../../spec/errors.ts";
import { fingerprintOf, keyTypeOf, KnownHosts } from "./knownHosts.ts";
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
  const name = hostKeyName(target);
  const keyType = keyTypeOf(key);
  const fingerprint = fingerprintOf(key);
  if (keyType === undefined)
    throw new FarcallError("ssh.host-key-changed", `${target.name} showed a key that is none.`);
  if (trust.pins) {
    if (trust.pins.includes(fingerprint)) return;
    throw changed(target, fingerprint, trust.pins, "It was pinned when the machine was launched.");
  }
  const known = KnownHosts.read([...target.knownHostsFiles, trust.ownFile]).check(name, key);
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
  const question = { host: target.name, address: target.host, keyType, fingerprint };
  if (!(await trust.ask?.(question))) {
    throw new FarcallError(
      "ssh.host-key-unknown",
      `The host ${target.name} is not known: it shows the key ${fingerprint} (${keyType}).`,
      {
        hint: "Compare this with the key of the machine, and log in with ssh once, or run this in a terminal and say yes.",
      },
    );
  }
  await appendFile(trust.ownFile, `${name} ${keyType} ${key.toString("base64")}\n`, { mode: 0o600 });
  await chmod(trust.ownFile, 0o600);
}

/** Signature algorithms to ask the host for: first those of the keys it is known by, so that it shows one of them. */
export function hostKeyAlgorithms(target: SshTarget, trust: HostKeyTrust): string[] {
  const known = trust.pins
    ? []
    : KnownHosts.read([...target.knownHostsFiles, trust.ownFile]).typesFor(hostKeyName(target));
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
