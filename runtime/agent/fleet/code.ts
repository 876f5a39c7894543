import type { BundleRef } from "../../protocol/messages/code.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { FileStore } from "../files.ts";
import type { AgentPeer, Fleet } from "./fleet.ts";

/**
 * Code of one cluster on all of its nodes. A map's bundle goes to every node that is there before the map begins, so
 * that the node it came through may die; a node that was not there asks the others when it begins to work.
 */
export class SharedCode {
  readonly #fleet: Fleet;
  readonly #files: FileStore;
  /** Hashes of bundles. */
  readonly #mapsOnTheirWay = new Set<string>();

  constructor(fleet: Fleet, files: FileStore) {
    this.#fleet = fleet;
    this.#files = files;
  }

  /** Resolves when every node that answers and has room has all files of the bundle. */
  async spread(bundle: BundleRef): Promise<void> {
    const spreading = this.#fleet.others((peer) => this.send(peer, bundle));
    // A node that would not take it, with a full disk perhaps, asks the others when it begins to work.
    await spreading.catch(() => undefined);
  }

  /** Sends another node what it lacks of the bundle. */
  async send(peer: AgentPeer, bundle: BundleRef): Promise<void> {
    const hashes = bundle.files.map(({ hash }) => hash);
    const { value } = await peer.request("files.missing", { hashes }, { timeoutMs: askTimeoutMs });
    for (const hash of value.missing) {
      await peer.request("file.put", { hash }, { body: await this.#files.get(hash), timeoutMs: fileTimeoutMs });
    }
  }

  /**
   * Fetches what this node lacks of the bundle, for as long as it is wanted: a node that has just come, or come back,
   * does not know yet who is there. What nobody has, whoever needs it will miss and say so.
   */
  async fetch(bundle: BundleRef, isWanted?: () => boolean): Promise<void> {
    const hashes = bundle.files.map(({ hash }) => hash);
    const beganAtMs = performance.now();
    const lastedMs = () => performance.now() - beganAtMs;
    const goesOn = isWanted ?? (() => lastedMs() < fetchWithinMs);
    while (goesOn()) {
      const missing = await this.#files.missing(hashes);
      if (missing.length === 0) return;
      const found = await Promise.all(missing.map((hash) => this.#fetchFromAny(hash)));
      if (found.includes("nowhere") && lastedMs() > knownWithinMs) return;
      if (found.some((each) => each !== "here")) await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }

  /** What a bundle is made of, from any other node that knows it. */
  async find(hash: string): Promise<BundleRef | undefined> {
    for (const { number } of this.#fleet.elsewhere()) {
      try {
        const peer = await this.#fleet.peer(number);
        return (await peer.request("bundle.get", { hash }, { timeoutMs: askTimeoutMs })).value.bundle;
      } catch {
        // Another may know it.
      }
    }
    return undefined;
  }

  /** Fetches one file, if any other node has it. */
  async fetchFile(hash: string): Promise<void> {
    if ((await this.#files.missing([hash])).length > 0) await this.#fetchFromAny(hash);
  }

  /** Fetches the source maps of a bundle that others run, and returns what it is made of. Once at a time. */
  async fetchSourceMaps(hash: string): Promise<BundleRef | undefined> {
    if (this.#mapsOnTheirWay.has(hash)) return undefined;
    this.#mapsOnTheirWay.add(hash);
    try {
      const bundle = await this.find(hash);
      const maps = bundle?.files.filter(({ path }) => path.endsWith(".map")) ?? [];
      if (maps.reduce((sum, { size }) => sum + size, 0) > maxSourceMapsBytes) return undefined;
      for (const map of maps) await this.fetchFile(map.hash);
      return bundle;
    } finally {
      this.#mapsOnTheirWay.delete(hash);
    }
  }

  /** `nowhere` when all that are there answered that they lack it, `unknown` when one may have it. */
  async #fetchFromAny(hash: string): Promise<"here" | "nowhere" | "unknown"> {
    const others = this.#fleet.elsewhere();
    let isLacking = others.length > 0;
    for (const { number } of others) {
      try {
        const peer = await this.#fleet.peer(number);
        const { body } = await peer.request("file.get", { hash }, { timeoutMs: fileTimeoutMs });
        // Its hash is checked as it is stored.
        await this.#files.put(hash, body);
        return "here";
      } catch (error) {
        isLacking &&= error instanceof FarcallError && error.code === "run.unknown";
      }
    }
    return isLacking ? "nowhere" : "unknown";
  }
}

/** All nodes say of themselves that they are there in that time. */
const knownWithinMs = 5_000;
const fetchWithinMs = 15_000;
const againMs = 250;
const askTimeoutMs = 15_000;
const fileTimeoutMs = 60_000;
/** As for what clients keep of a run. */
const maxSourceMapsBytes = 8 * 2 ** 20;
