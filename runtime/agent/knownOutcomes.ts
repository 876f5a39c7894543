import type { MapSpec } from "../protocol/messages/maps.ts";
import { packOutcomes, unpackOutcomes, unpackValues } from "../protocol/pack.ts";
import type { Chunk, ResultRange } from "../queue/mapQueue.ts";
import type { OutcomeCache } from "./outcomeCache.ts";

/** What the cache has of a map's inputs; nothing for a map that does not want it used. */
export class KnownOutcomes {
  readonly #cache: OutcomeCache;
  readonly isUsed: boolean;
  /** Names the code for the cache: the bundle, what is installed beside it, and the function. */
  readonly #code: string;

  constructor(cache: OutcomeCache, { module, export: name, options }: MapSpec) {
    this.#cache = cache;
    this.isUsed = options.cache ?? false;
    this.#code = JSON.stringify([module.bundle.hash, module.env.install, module.env.vars, name]);
  }

  /** Of a chunk, as ranges of one input each. */
  of(chunk: Chunk): ResultRange[] {
    if (!this.isUsed) return [];
    const values = this.#cache.lookUp(this.#code, unpackValues(chunk.body));
    return values.flatMap((bytes, i): ResultRange[] =>
      bytes ? [{ lo: chunk.lo + i, count: 1, errors: 0, body: packOutcomes([{ ok: true, attempts: 0, bytes }]) }] : [],
    );
  }

  remember(chunk: Chunk, results: readonly ResultRange[]): void {
    if (!this.isUsed) return;
    const inputs = unpackValues(chunk.body);
    const entries = results.flatMap(({ lo, body }) =>
      unpackOutcomes(body).flatMap(({ ok, attempts, bytes }, i) =>
        ok && attempts > 0 ? [{ input: inputs[lo - chunk.lo + i]!, value: bytes }] : [],
      ),
    );
    if (entries.length > 0) this.#cache.store(this.#code, entries);
  }
}
