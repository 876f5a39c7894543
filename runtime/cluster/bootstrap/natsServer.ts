import { readFile, stat } from "node:fs/promises";
import { FarcallError, messageOf } from "../../spec/errors.ts";
import { type SetupContent, setupContent } from "./build.ts";
import { download, type DownloadOptions, parseAddress } from "./download.ts";
import type { Probe } from "./probe.ts";
import { fileInArchive } from "./tar.ts";

/**
 * The program that holds the queue of a cluster of several nodes: the official nats-server, fetched once by the client
 * and pushed to the nodes that run one. `FARCALL_NATS_SERVER` names a program to push instead, for closed networks;
 * `FARCALL_NATS_MIRROR` is where the official releases are to be had.
 */
const version = "2.14.6";
// SHA256SUMS of https://github.com/nats-io/nats-server/releases/tag/v2.14.6
const checksums: Record<string, string> = {
  x64: "61c3d55f69f61ec616b75782250936445f2819e9e5f2ae6159b10a31abd2200c",
  arm64: "3ff6e463762db64186a36cf0276dae8320509e995151ad0153ba9c9f67eee3f9",
};
const archNames: Record<string, string> = { x64: "amd64", arm64: "arm64" };

/** A server, and by what it is known again on a machine that has it. */
export interface ServerContent extends SetupContent {
  mark: string;
}

/** Several machines want the same one, at about the same time. */
const keptMs = 60_000;
const kept = new Map<string, Promise<ServerContent>>();

/**
 * The server for a machine, undefined when it has that one. A machine that has another keeps it when there is none to
 * be had: what holds the queue must not keep a cluster from starting that is away from every network.
 */
export async function serverFor(found: Probe, options: DownloadOptions): Promise<ServerContent | undefined> {
  const named = process.env["FARCALL_NATS_SERVER"];
  if (named) {
    const server = await ofFile(named);
    return server.mark === found.server ? undefined : server;
  }
  const { arch, server: there } = found;
  // The archive's, so that a machine which has what was in it can be told without the archive.
  const mark = checksums[arch]!.slice(0, 12);
  if (mark === there) return undefined;
  try {
    return await once(mark, () => ofArchive(arch, mark, options));
  } catch (error) {
    options.signal?.throwIfAborted();
    if (there === "") throw error;
    options.onProgress(`keeping the server of the queue that is there: ${messageOf(error)}`);
    return undefined;
  }
}

async function ofFile(file: string): Promise<ServerContent> {
  try {
    const { mtimeMs, size } = await stat(file);
    return await once(`${file} ${mtimeMs} ${size}`, async () => {
      const content = setupContent("nats-server", await readFile(file), 0o700);
      return { ...content, mark: content.file.sha256.slice(0, 12) };
    });
  } catch (cause) {
    throw new FarcallError(
      "spec.invalid",
      `FARCALL_NATS_SERVER names ${file}, which cannot be read: ${messageOf(cause)}.`,
      { cause },
    );
  }
}

async function ofArchive(arch: string, mark: string, options: DownloadOptions): Promise<ServerContent> {
  const mirror = process.env["FARCALL_NATS_MIRROR"] || "https://github.com/nats-io/nats-server/releases/download";
  const name = `nats-server-v${version}-linux-${archNames[arch]!}`;
  const url = parseAddress("FARCALL_NATS_MIRROR", `${mirror.replace(/\/$/, "")}/v${version}/${name}.tar.gz`);
  const what = `nats-server ${version}`;
  const hint = "Name a mirror in FARCALL_NATS_MIRROR, or a nats-server for Linux in FARCALL_NATS_SERVER.";
  const archive = await readFile(await download({ what, url, sha256: checksums[arch]!, hint }, options));
  const program = fileInArchive(archive, "/nats-server");
  if (!program) throw new FarcallError("node.install-failed", `There is no nats-server in ${url.href}.`, { hint });
  return { ...setupContent("nats-server", program, 0o700), mark };
}

/** What has been read or unpacked just now. It is large, so not for long. */
function once(key: string, make: () => Promise<ServerContent>): Promise<ServerContent> {
  const before = kept.get(key);
  if (before) return before;
  const making = make();
  kept.set(key, making);
  const forget = () => kept.delete(key);
  making.then(() => setTimeout(forget, keptMs).unref(), forget);
  return making;
}
