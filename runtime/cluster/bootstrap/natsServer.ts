import { readFile } from "node:fs/promises";
import { FarcallError, messageOf } from "../../spec/errors.ts";
import { download, type DownloadOptions, parseAddress } from "./download.ts";
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

/** The program for machines of an architecture, as Node names it. */
export async function natsServer(arch: string, options: DownloadOptions): Promise<Buffer> {
  const named = process.env["FARCALL_NATS_SERVER"];
  if (named) {
    try {
      return await readFile(named);
    } catch (cause) {
      throw new FarcallError(
        "spec.invalid",
        `FARCALL_NATS_SERVER names ${named}, which cannot be read: ${messageOf(cause)}.`,
        { cause },
      );
    }
  }
  const mirror = process.env["FARCALL_NATS_MIRROR"] || "https://github.com/nats-io/nats-server/releases/download";
  const name = `nats-server-v${version}-linux-${archNames[arch]!}`;
  const url = parseAddress("FARCALL_NATS_MIRROR", `${mirror.replace(/\/$/, "")}/v${version}/${name}.tar.gz`);
  const what = `nats-server ${version}`;
  const hint = "Name a mirror in FARCALL_NATS_MIRROR, or a nats-server for Linux in FARCALL_NATS_SERVER.";
  const archive = await readFile(await download({ what, url, sha256: checksums[arch]!, hint }, options));
  const program = fileInArchive(archive, "/nats-server");
  if (!program) throw new FarcallError("node.install-failed", `There is no nats-server in ${url.href}.`, { hint });
  return program;
}
