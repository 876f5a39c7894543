import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { FarcallError, messageOf } from "../../spec/errors.ts";

/** What is fetched for machines is fetched once by a client, is what its checksum says, and is kept in the client's cache. */
export interface Download {
  /** As a person knows it. */
  what: string;
  url: URL;
  sha256: string;
  /** What a person can do when it cannot be fetched. */
  hint: string;
}

export interface DownloadOptions {
  cacheFolder: string;
  signal?: AbortSignal | undefined;
  onProgress: (line: string) => void;
}

const withinMs = 15 * 60_000;

/** The file on this machine. Rejects with `node.install-failed`, or the signal's reason. */
export async function download(
  { what, url, sha256, hint }: Download,
  { cacheFolder, signal, onProgress }: DownloadOptions,
): Promise<string> {
  const file = join(cacheFolder, `${sha256.slice(0, 12)}-${basename(url.pathname)}`);
  if (await stat(file).catch(() => undefined)) return file;
  onProgress(`fetching ${what}`);
  await mkdir(cacheFolder, { recursive: true, mode: 0o700 });
  const aside = `${file}.${process.pid}.tmp`;
  try {
    await fetchInto(aside, url, signal);
    const found = await checksumOf(aside);
    if (found !== sha256) throw new Error(`its checksum is ${found}, not ${sha256}`);
    await rename(aside, file);
    return file;
  } catch (cause) {
    signal?.throwIfAborted();
    const why = cause instanceof TypeError && cause.cause ? messageOf(cause.cause) : messageOf(cause);
    throw new FarcallError("node.install-failed", `${what} could not be fetched from ${url.href}: ${why}.`, {
      cause,
      hint,
    });
  } finally {
    await rm(aside, { force: true });
  }
}

export async function checksumOf(file: string): Promise<string> {
  const digest = createHash("sha256");
  for await (const part of createReadStream(file)) digest.update(part as Buffer);
  return digest.digest("hex");
}

/** The address that a variable of the environment names. Throws `spec.invalid`. */
export function parseAddress(variable: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && ["http:", "https:", "file:"].includes(url.protocol)) return url;
  throw new FarcallError("spec.invalid", `${variable} is ${JSON.stringify(text)}, which is no address.`, {
    hint: "Write it with https:// in front.",
  });
}

async function fetchInto(file: string, url: URL, signal: AbortSignal | undefined): Promise<void> {
  if (url.protocol === "file:") return copyFile(url, file);
  const bounded = AbortSignal.timeout(withinMs);
  const response = await fetch(url, { signal: signal ? AbortSignal.any([signal, bounded]) : bounded });
  if (!response.ok || !response.body) throw new Error(`the server answers ${response.status}`);
  const handle = await open(file, "wx", 0o600);
  try {
    for await (const part of response.body) await handle.write(part);
  } finally {
    await handle.close();
  }
}
