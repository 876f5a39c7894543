import { createHash, randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { esbuild } from "./compile.ts";
import { markNative } from "./externals.ts";
import { partOf, type BundleFile } from "./parts.ts";
import { packageFolder } from "./source.ts";
import { buildVendor, entryKey, type Vendor, type VendorModule, type VendorRequest } from "./vendorBuild.ts";

/**
 * Keeps bundled third-party code, since that takes hundreds of milliseconds and changes only when something is
 * installed: in memory for the process, and in a folder for the next one. What is kept is used as long as every
 * file it was made from has the same size, time and inode.
 */
interface Kept {
  vendor: Vendor;
  /** Size, time and inode by absolute path. */
  stamps: Record<string, string>;
}

export interface VendorCacheOptions {
  signal: AbortSignal | undefined;
  /** Where to keep it for other processes; nowhere if undefined. */
  cacheFolder: string | undefined;
}

/** Raised when what a build makes of the same files changes. */
const format = 1;
const maxInMemory = 8;
const maxInFolder = 32;
const kept = new Map<string, Kept>();

export function forgetVendors(): void {
  kept.clear();
}

/** Bundles third-party modules, or returns what was made before. */
export async function vendorBundle(request: VendorRequest, options: VendorCacheOptions): Promise<Vendor> {
  if (request.entries.length === 0) return { parts: [], modules: new Map(), native: [] };
  const { cacheFolder, signal } = options;
  // The order in which own code imports does not change what is made.
  const entries = request.entries.toSorted((a, b) => (entryKey(a) < entryKey(b) ? -1 : 1));
  const { version } = await esbuild();
  const key = JSON.stringify([format, version, request.root, entries.map(entryKey), request.external.toSorted()]);
  const file = cacheFolder && join(cacheFolder, `${createHash("sha256").update(key).digest("hex")}.vendor`);

  let found = kept.get(key);
  if (!found || !isFresh(found)) found = file ? await load(file) : undefined;
  if (!found || !isFresh(found)) {
    const { vendor, files } = await buildVendor({ ...request, entries }, signal);
    found = { vendor, stamps: Object.fromEntries(files.map((path) => [path, stampOf(path)])) };
    if (cacheFolder && file) await store(cacheFolder, file, found);
  }
  kept.delete(key);
  kept.set(key, found);
  for (const oldest of kept.keys()) if (kept.size > maxInMemory) kept.delete(oldest);
  return found.vendor;
}

function isFresh({ stamps }: Kept): boolean {
  return Object.entries(stamps).every(([path, stamp]) => stampOf(path) === stamp);
}

function stampOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? `${stats.size} ${stats.mtimeMs} ${stats.ino}` : "";
}

/** A record is one line of JSON and, behind it, the contents of the files it lists. */
interface Index {
  stamps: Record<string, string>;
  modules: [string, VendorModule][];
  native: Vendor["native"];
  files: BundleFile[];
}

/** A record that cannot be read, for whatever reason, is as good as none. */
async function load(file: string): Promise<Kept | undefined> {
  try {
    const bytes = await readFile(file);
    const end = bytes.indexOf("\n");
    const { stamps, modules, native, files } = JSON.parse(bytes.toString("utf8", 0, end)) as Index;
    let at = end + 1;
    const parts = files.map(({ path, kind, size, hash }) => {
      const part = partOf(path, kind, bytes.subarray(at, at + size));
      if (part.hash !== hash) throw new Error(`${path} is damaged`);
      at += size;
      return part;
    });
    markNative(
      Object.keys(stamps)
        .filter((path) => path.endsWith(".node"))
        .map(packageFolder),
    );
    return { vendor: { parts, modules: new Map(modules), native }, stamps };
  } catch {
    return undefined;
  }
}

/** Writes a record in one step, so that another process never reads half of one. A cache may fail in silence. */
async function store(cacheFolder: string, file: string, { vendor, stamps }: Kept): Promise<void> {
  const files = vendor.parts.map(({ path, kind, size, hash }): BundleFile => ({ path, kind, size, hash }));
  const index: Index = { stamps, modules: [...vendor.modules], native: vendor.native, files };
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    await mkdir(cacheFolder, { recursive: true, mode: 0o700 });
    const contents = [Buffer.from(`${JSON.stringify(index)}\n`), ...vendor.parts.map(({ bytes }) => bytes)];
    await writeFile(draft, Buffer.concat(contents), { mode: 0o600 });
    await rename(draft, file);
    await prune(cacheFolder);
  } catch {
    await rm(draft, { force: true }).catch(() => undefined);
  }
}

async function prune(cacheFolder: string): Promise<void> {
  const names = (await readdir(cacheFolder)).filter((name) => name.includes(".vendor"));
  if (names.length <= maxInFolder) return;
  const aged = await Promise.all(
    names.map(async (name) => ({ name, timeMs: (await stat(join(cacheFolder, name))).mtimeMs })),
  );
  const old = aged.toSorted((a, b) => b.timeMs - a.timeMs).slice(maxInFolder);
  await Promise.all(old.map(({ name }) => rm(join(cacheFolder, name), { force: true })));
}
