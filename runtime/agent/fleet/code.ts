import type { BundleRef } from "../../protocol/messages.ts";
import type { FileStore } from "../files.ts";
import type { AgentPeer, Fleet } from "./fleet.ts";

/**
 * Code of one cluster on all of its nodes. A map's bundle goes to every node that is there before the map begins, so
 * that the node it came through may die; a node that was not there asks the others when it begins to work.
 */
export class SharedCode {
  readonly #fleet: Fleet;
  readonly #files: FileStore;

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
   * Fetches what this node lacks of the bundle. One that has just come has not heard of the others yet, so they are
   * asked for a while. What nobody has, whoever needs it will miss and say so.
   */
  async fetch(bundle: BundleRef): Promise<void> {
    const deadlineMs = performance.now() + findWithinMs;
    let missing = await this.#files.missing(bundle.files.map(({ hash }) => hash));
    for (;;) {
      const left: string[] = [];
      for (const hash of missing) if (!(await this.#fetchFromAny(hash))) left.push(hash);
      if (left.length === 0 || performance.now() > deadlineMs) return;
      missing = left;
      await new Promise((resolve) => setTimeout(resolve, askAgainMs));
    }
  }

  async #fetchFromAny(hash: string): Promise<boolean> {
    for (const { number } of this.#fleet.elsewhere()) if (await this.#fetchFrom(number, hash)) return true;
    return false;
  }

  async #fetchFrom(number: number, hash: string): Promise<boolean> {
    try {
      const peer = await this.#fleet.peer(number);
      const { body } = await peer.request("file.get", { hash }, { timeoutMs: fileTimeoutMs });
      // Its hash is checked as it is stored.
      await this.#files.put(hash, body);
      return true;
    } catch {
      return false;
    }
  }
}

const findWithinMs = 20_000;
const askAgainMs = 250;
const askTimeoutMs = 15_000;
const fileTimeoutMs = 60_000;
