import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ParsedKey } from "ssh2";
import ssh2 from "ssh2";

export interface PassphrasePrompter {
  /** Undefined when the person does not want to say. */
  passphrase(keyFile: string, again: boolean): Promise<string | undefined>;
}

const passphraseTries = 3;

/** Keys that were opened, so that a passphrase is asked for once however many machines there are. Memory only. */
const opened = new Map<string, Promise<ParsedKey | undefined>>();

/** Opens an encrypted private key with what a person says. Undefined when they do not say it. */
export async function unlockKey(
  file: string,
  text: Buffer,
  prompter: PassphrasePrompter,
): Promise<ParsedKey | undefined> {
  const id = `${file}\0${createHash("sha256").update(text).digest("hex")}`;
  let opening = opened.get(id);
  if (!opened.has(id)) opened.set(id, (opening = askPassphrase(file, text, prompter)));
  const key = await opening!.catch(() => undefined);
  if (!key) opened.delete(id);
  return key;
}

async function askPassphrase(file: string, text: Buffer, prompter: PassphrasePrompter): Promise<ParsedKey | undefined> {
  for (let tries = 0; tries < passphraseTries; tries++) {
    const passphrase = await prompter.passphrase(file, tries > 0);
    if (passphrase === undefined) return undefined;
    const key = ssh2.utils.parseKey(text, passphrase);
    if (!(key instanceof Error)) return key;
  }
  return undefined;
}

/** The public half of an encrypted key: OpenSSH's own format holds it in the clear, others have it beside them. */
export async function encryptedPublicKey(file: string, text: Buffer): Promise<ParsedKey | undefined> {
  const beside = await readFile(`${file}.pub`).catch(() => undefined);
  for (const candidate of [publicHalf(text), beside]) {
    const parsed = candidate && ssh2.utils.parseKey(candidate);
    if (parsed && !(parsed instanceof Error)) return parsed;
  }
  return undefined;
}

/** As OpenSSH's PROTOCOL.key has it: magic, then cipher, kdf and its options as strings, a count, and the public key. */
function publicHalf(text: Buffer): string | undefined {
  const base64 = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)-----END/.exec(text.toString("latin1"))?.[1];
  if (base64 === undefined) return undefined;
  const bytes = Buffer.from(base64, "base64");
  try {
    let at = "openssh-key-v1\0".length;
    for (let skipped = 0; skipped < 3; skipped++) at += 4 + bytes.readUInt32BE(at);
    at += 4;
    const key = bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at));
    const type = key.toString("latin1", 4, 4 + key.readUInt32BE(0));
    return `${type} ${key.toString("base64")}`;
  } catch {
    return undefined;
  }
}
