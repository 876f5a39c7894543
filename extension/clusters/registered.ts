import { stat } from "node:fs/promises";
import type { ClusterRecord, Registry } from "../../runtime/cluster/registry.ts";
import { keptNames, recordsFolder, registeredNames } from "../../runtime/cluster/registeredNames.ts";
import { messageOf } from "../../runtime/spec/errors.ts";

/** What the registry has of the clusters of machines, as last read. Other windows and the command line change it too. */
export class Registered {
  readonly #home: string;
  #names: string[] | undefined;
  #gone: string[] | undefined;
  #records = new Map<string, Registration>();
  #registry: Registry | undefined;
  #readAtMs = Number.NaN;

  /** `home` is `FARCALL_HOME`. */
  constructor(home: string) {
    this.#home = home;
  }

  get names(): string[] {
    return (this.#names ??= registeredNames(this.#home));
  }

  /** Of those that are no more, but of which runs are kept. */
  get gone(): string[] {
    return (this.#gone ??= keptNames(this.#home).filter((name) => name !== "local" && !this.names.includes(name)));
  }

  of(name: string): Registration {
    return this.#records.get(name) ?? {};
  }

  /** Reads what has changed, and returns whether anything has. Costs next to nothing when nothing has. */
  async look(): Promise<boolean> {
    // Records are replaced whole, which changes the folder.
    const changedAtMs = await stat(recordsFolder(this.#home)).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    if (changedAtMs === this.#readAtMs) return false;
    this.#readAtMs = changedAtMs;
    const { Registry } = await import("../../runtime/cluster/registry.ts");
    this.#registry ??= new Registry(this.#home);
    const before = JSON.stringify([this.#names, ...this.#records]);
    this.#names = registeredNames(this.#home);
    this.#gone = undefined;
    this.#records = new Map(this.#names.map((name) => [name, registrationOf(this.#registry!, name)]));
    return JSON.stringify([this.#names, ...this.#records]) !== before;
  }
}

interface Registration {
  record?: ClusterRecord;
  /** Why the record cannot be read. */
  problem?: string;
}

function registrationOf(registry: Registry, name: string): Registration {
  try {
    const record = registry.get(name);
    return record ? { record } : {};
  } catch (error) {
    return { problem: messageOf(error) };
  }
}
