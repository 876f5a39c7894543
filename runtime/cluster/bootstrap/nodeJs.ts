import { createReadStream } from "node:fs";
import { basename, isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { FarcallError } from "../../spec/errors.ts";
import type { SshConnection } from "../../transport/ssh/connection.ts";
import { installNodeCommand } from "./commands.ts";
import { checksumOf, download, type DownloadOptions, parseAddress } from "./download.ts";
import type { Probe } from "./probe.ts";

/**
 * A Node.js of Farcall's own on a machine that has none: the official archive, fetched there where that works, and
 * otherwise fetched by this client, kept in its cache, and pushed. Either way it is what its checksum says.
 *
 * `FARCALL_NODE_MIRROR` is where the official archives are to be had in closed networks (default
 * https://nodejs.org/dist). `FARCALL_NODE` names another archive: a file, or a URL with `#sha256=…`.
 */
export interface InstallNodeOptions extends DownloadOptions {
  id: string;
  /** Called before anything on the machine is changed. */
  onTouch: (() => void) | undefined;
}

interface Archive {
  url: URL;
  /** Undefined for a file that the user named: it is taken as it is. */
  sha256: string | undefined;
}

const version = "24.11.1";
// https://nodejs.org/dist/v24.11.1/SHASUMS256.txt
const checksums: Record<string, string> = {
  x64: "58a5ff5cc8f2200e458bea22e329d5c1994aa1b111d499ca46ec2411d58239ca",
  arm64: "0dc93ec5c798b0d347f068db6d205d03dea9a71765e6a53922b682b91265d71f",
};
/** What the official archives are built for: https://github.com/nodejs/node/blob/v24.x/BUILDING.md */
const oldestGlibc = [2, 28] as const;
const neededMiB = 400;
const withinMs = 15 * 60_000;

/** Puts Node.js on the machine and returns where its program lies there. */
export async function installNode(
  connection: SshConnection,
  found: Probe,
  options: InstallNodeOptions,
): Promise<string> {
  const host = connection.target.name;
  const archive = archiveFor(found.arch);
  if (archive.sha256 !== undefined) refuseForeign(host, found);
  if (found.freeMiB > 0 && found.freeMiB < neededMiB) {
    throw new FarcallError(
      "disk.full",
      `${host} has no Node.js 24 and only ${found.freeMiB} MiB left for one; it takes ${neededMiB} MiB.`,
      {
        hint: "Free some space there, or install Node.js 24.",
      },
    );
  }
  if (!found.tools.has("tar") || !found.tools.has("gzip")) {
    throw new FarcallError("node.unsupported", `${host} has no Node.js 24, and no tar and gzip to unpack one with.`, {
      hint: "Install Node.js 24 there, or tar and gzip.",
    });
  }
  options.onTouch?.();
  const canFetch =
    archive.url.protocol !== "file:" &&
    found.tools.has("sha256sum") &&
    (found.tools.has("curl") || found.tools.has("wget"));
  if (canFetch) {
    options.onProgress(`${host}: fetching ${basename(archive.url.pathname)} there`);
    const fetched = await run(connection, options, archive.url.href, archive.sha256!);
    if (fetched.place) return `${found.home}/${fetched.place}/bin/node`;
    if (fetched.isFinal) throw failed(host, fetched.why);
  }
  const file = await inCache(archive, options);
  options.onProgress(`${host}: sending ${basename(archive.url.pathname)}`);
  const sha256 = archive.sha256 ?? (await checksumOf(file));
  const pushed = await run(connection, options, "-", sha256, createReadStream(file));
  if (pushed.place) return `${found.home}/${pushed.place}/bin/node`;
  throw failed(host, pushed.why);
}

async function run(
  connection: SshConnection,
  { id, signal }: InstallNodeOptions,
  source: string,
  sha256: string,
  content?: AsyncIterable<Buffer>,
): Promise<{ place: string | undefined; why: string; isFinal: boolean }> {
  const { status, stdout, stderr } = await connection.run(installNodeCommand, {
    input: lines([id, `node-${sha256.slice(0, 12)}`, source, sha256], content),
    signal,
    timeoutMs: withinMs,
  });
  const place = /\nfarcall-node (\.farcall-node\/node-[0-9a-f]{12})\n/.exec(stdout.toString("utf8"))?.[1];
  const why = stderr.trim().split("\n").at(-1) || `the command ended with ${status}`;
  // What the network there would not give this client may have.
  const unfetched = 6;
  return { place, why, isFinal: status !== unfetched };
}

async function* lines(texts: readonly string[], content?: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield Buffer.from(`${texts.join("\n")}\n`);
  if (content) yield* content;
}

function archiveFor(arch: string): Archive {
  const named = process.env["FARCALL_NODE"];
  if (named) {
    const url = isAbsolute(named) ? new URL(`file://${named}`) : parseAddress("FARCALL_NODE", named);
    const sha256 = /^#sha256=([0-9a-f]{64})$/i.exec(url.hash)?.[1]?.toLowerCase();
    if (url.protocol !== "file:" && sha256 === undefined) {
      throw new FarcallError("spec.invalid", `FARCALL_NODE is ${JSON.stringify(named)}, without a checksum.`, {
        hint: "Put #sha256= and the 64 digits behind the address, or name a file.",
      });
    }
    url.hash = "";
    return { url, sha256 };
  }
  const mirror = (process.env["FARCALL_NODE_MIRROR"] || "https://nodejs.org/dist").replace(/\/$/, "");
  const url = parseAddress("FARCALL_NODE_MIRROR", `${mirror}/v${version}/node-v${version}-linux-${arch}.tar.gz`);
  return { url, sha256: checksums[arch]! };
}

function refuseForeign(host: string, { libc }: Probe): void {
  if (libc === "musl") {
    throw new FarcallError(
      "node.unsupported",
      `${host} has no Node.js 24, and the official ones do not run there (musl).`,
      {
        hint: "Install it with the system's own packages, such as `apk add nodejs npm`.",
      },
    );
  }
  const [major = 0, minor = 0] = (/^glibc (\d+)\.(\d+)/.exec(libc)?.slice(1) ?? []).map(Number);
  if (libc !== "" && (major < oldestGlibc[0] || (major === oldestGlibc[0] && minor < oldestGlibc[1]))) {
    throw new FarcallError(
      "node.unsupported",
      `${host} has no Node.js 24, and its system is too old for it (${libc}).`,
      {
        hint: "Node.js 24 needs glibc 2.28, which is Debian 10, Ubuntu 18.10 or RHEL 8.",
      },
    );
  }
}

/** The archive as a file on this machine, fetched unless it is there. */
function inCache({ url, sha256 }: Archive, options: DownloadOptions): Promise<string> {
  if (sha256 === undefined) return Promise.resolve(fileURLToPath(url));
  const hint =
    "Install Node.js 24 on the machine, or name a mirror in FARCALL_NODE_MIRROR or an archive in FARCALL_NODE.";
  return download({ what: basename(url.pathname), url, sha256, hint }, options);
}

function failed(host: string, why: string): FarcallError {
  return new FarcallError("node.install-failed", `Node.js could not be put on ${host}: ${why}.`, {
    hint: "Install Node.js 24 there yourself, so that `node` is found in a login shell.",
  });
}
