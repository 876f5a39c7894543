import { readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Replica } from "./replica.ts";

/**
 * A worker process at hand, so that an edit does not wait for one to start. Once a bundle has been loaded, the
 * spare also imports that bundle's third-party modules: the edited bundle will import the same ones, by the
 * same paths, as third-party code lies in a folder that bundles share.
 */
export class Spare {
  readonly #start: () => Replica;
  #replica: Replica | undefined;
  /** The third-party folder whose modules it has imported. */
  #warmFor: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(start: () => Replica) {
    this.#start = start;
    // An agent is started because somebody is about to call.
    this.#replica = start();
  }

  /** Hands the spare over if it suits a bundle laid out in `folder`. */
  async take(folder: string): Promise<Replica | undefined> {
    const replica = this.#replica;
    if (!replica || replica.isDead) return undefined;
    if (this.#warmFor !== undefined && this.#warmFor !== (await thirdPartyOf(folder))) {
      // Modules of other packages may have changed what is global; nobody should inherit that.
      if (this.#replica === replica) this.#replica = undefined;
      replica.kill("stopped");
      return undefined;
    }
    if (this.#replica !== replica) return undefined;
    this.#replica = undefined;
    return replica;
  }

  /** Makes a new spare in a while, when things are calm, for edits of the bundle in `folder`. */
  renew(folder: string): void {
    const calmAfterMs = 250;
    clearTimeout(this.#timer);
    // Without a spare an edit takes longer; that is no reason to end the agent.
    this.#timer = setTimeout(() => void this.#renew(folder).catch(() => undefined), calmAfterMs);
    this.#timer.unref();
  }

  /** Ends the spare; there is none until the next `renew`. */
  discard(): void {
    clearTimeout(this.#timer);
    this.#replica?.kill("stopped");
    this.#replica = undefined;
    this.#warmFor = undefined;
  }

  async #renew(folder: string): Promise<void> {
    const thirdParty = await thirdPartyOf(folder);
    if (this.#replica && !this.#replica.isDead && (this.#warmFor === thirdParty || thirdParty === undefined)) return;
    if (this.#replica && this.#warmFor !== undefined) this.#replica.kill("stopped");
    if (!this.#replica || this.#replica.isDead || this.#warmFor !== undefined) this.#replica = this.#start();
    this.#warmFor = thirdParty;
    if (thirdParty !== undefined) await this.#replica.warm(await thirdPartyImports(folder));
  }
}

/** Where a bundle's third-party code really lies; undefined if it has none. */
async function thirdPartyOf(folder: string): Promise<string | undefined> {
  return realpath(join(folder, "vendor")).catch(() => undefined);
}

/** The third-party files that a bundle's entry imports at once; what it imports later is left for later. */
async function thirdPartyImports(folder: string): Promise<string[]> {
  const code = await readFile(join(folder, "entry.js"), "utf8").catch(() => "");
  const files = [...code.matchAll(/(?:from|import)\s*"\.\/(vendor\/[^"]+)"/g)].map(([, path = ""]) => path);
  // What only looks like an import, in a string say, is no file.
  const found = await Promise.all(
    [...new Set(files)].map((path) => realpath(join(folder, path)).catch(() => undefined)),
  );
  return found.filter((file) => file !== undefined);
}
