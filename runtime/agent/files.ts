import { createHash, randomBytes } from "node:crypto";
import { access, link, copyFile, mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join, normalize, sep } from "node:path";
import { FarcallError, isDiskFull } from "../spec/errors.ts";
import type { BundleRef } from "../protocol/messages/code.ts";

/** Files by the SHA-256 of their content, and bundles laid out from them. */
export class FileStore {
  readonly #folder: string;
  /** Hashes seen on disk: files here are never changed, and only an agent that stands still removes them. */
  readonly #known = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async missing(hashes: readonly string[]): Promise<string[]> {
    const missing: string[] = [];
    for (const hash of new Set(hashes)) if (!(await this.#has(hash))) missing.push(hash);
    return missing;
  }

  /** Stores content under its hash. Throws `protocol.invalid` when it has another one. */
  async put(hash: string, content: Uint8Array): Promise<void> {
    const actual = createHash("sha256").update(content).digest("hex");
    if (actual !== hash)
      throw new FarcallError("protocol.invalid", `A file arrived damaged: its hash is ${actual}, not ${hash}.`);
    if (await this.#has(hash)) return;
    const file = this.#path(hash);
    const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`;
    try {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await writeFile(temporary, content, { mode: 0o600 });
      await rename(temporary, file);
    } catch (cause) {
      await rm(temporary, { force: true });
      if (isDiskFull(cause)) {
        throw new FarcallError("disk.full", "The node has no space left for the code.", { cause, retryable: true });
      }
      throw cause;
    }
    this.#known.add(hash);
  }

  async get(hash: string): Promise<Uint8Array> {
    try {
      return await readFile(this.#path(hash));
    } catch (cause) {
      throw new FarcallError("run.unknown", `The agent has no file ${hash}.`, { cause });
    }
  }

  /**
   * Lays a bundle out below `parent` and returns its folder.
   *
   * Third-party code goes to a folder of its own that all bundles with the same share through a link: an edited
   * bundle has a new folder, but its third-party modules keep their paths, and with them what V8 compiled.
   */
  async place(bundle: BundleRef, parent: string): Promise<string> {
    for (const { path } of bundle.files) checkRelative(path);
    const folder = join(parent, bundle.hash);
    if (await exists(folder)) return folder;
    const shared = bundle.files.filter(({ path }) => isThirdParty(path));
    if (shared.length === 0) return this.#layOut(bundle.files, folder);
    const name = createHash("sha256").update(JSON.stringify(shared)).digest("hex");
    const sharedFolder = await this.#layOut(shared, join(parent, "shared", name));
    const own = bundle.files.filter(({ path }) => !isThirdParty(path));
    return this.#layOut(own, folder, join(sharedFolder, thirdPartyFolder));
  }

  /** Makes a folder of these files, whole or not at all; with `vendor`, it has a link to that folder. */
  async #layOut(files: BundleRef["files"], folder: string, vendor?: string): Promise<string> {
    if (await exists(folder)) return folder;
    const temporary = `${folder}.${randomBytes(6).toString("hex")}`;
    try {
      await mkdir(temporary, { recursive: true, mode: 0o700 });
      for (const { path, hash } of files) {
        const target = join(temporary, checkRelative(path));
        await mkdir(dirname(target), { recursive: true, mode: 0o700 });
        await linkOrCopy(this.#path(hash), target);
      }
      // The code is ES modules under names that end in .js.
      await writeFile(join(temporary, "package.json"), '{ "type": "module" }\n', { mode: 0o600 });
      if (vendor !== undefined) await symlink(vendor, join(temporary, thirdPartyFolder), "junction");
      await rename(temporary, folder).catch(async (error: unknown) => {
        if (!(await exists(folder))) throw error;
      });
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    return folder;
  }

  #path(hash: string): string {
    return join(this.#folder, hash.slice(0, 2), hash);
  }

  async #has(hash: string): Promise<boolean> {
    if (this.#known.has(hash)) return true;
    if (!(await exists(this.#path(hash)))) return false;
    this.#known.add(hash);
    return true;
  }
}

/** Where bundles have their third-party code, and the files that belong to it. */
const thirdPartyFolder = "vendor";

function isThirdParty(path: string): boolean {
  return path.startsWith(`${thirdPartyFolder}/`) || path.startsWith("src/node_modules/");
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new FarcallError("protocol.invalid", "The bundle names a file that was not sent.", { cause: error });
    }
    await copyFile(from, to);
  }
}

/** A path in a bundle stays below the bundle's folder. */
function checkRelative(path: string): string {
  const clean = normalize(path);
  if (
    path === "" ||
    path.includes("\0") ||
    path.includes("\\") ||
    clean.startsWith("..") ||
    clean.startsWith(sep) ||
    /^[A-Za-z]:/.test(clean)
  ) {
    throw new FarcallError(
      "protocol.invalid",
      `The bundle holds a file at ${JSON.stringify(path)}, which is not inside it.`,
    );
  }
  return clean;
}
