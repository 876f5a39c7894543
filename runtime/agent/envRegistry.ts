import type { DatabaseSync } from "node:sqlite";
import type { EnvStatus } from "../protocol/messages/envs.ts";
import type { EnvSpec, ResolvedEnv } from "../spec/env.ts";
import { FarcallError } from "../spec/errors.ts";
import { envId, type EnvStore } from "./envs.ts";
import type { Maps } from "./maps.ts";
import type { Pools } from "./pools.ts";
import type { RunStore } from "./runs.ts";

const schema = `
  CREATE TABLE IF NOT EXISTS env (name TEXT PRIMARY KEY, env TEXT NOT NULL, usedAtMs INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS module (key TEXT PRIMARY KEY, env TEXT NOT NULL) WITHOUT ROWID;
`;

export interface EnvRegistryOptions {
  database: DatabaseSync;
  envs: EnvStore;
  pools: Pools;
  maps: Maps;
  runs: RunStore;
}

interface Known {
  env: ResolvedEnv;
  id: string;
  usedAtMs: number;
}

/** The envs of the node by name, as they were last used: kept when the agent is gone, listed, rebuilt, removed. */
export class EnvRegistry {
  readonly #options: EnvRegistryOptions;

  constructor(options: EnvRegistryOptions) {
    this.#options = options;
    options.database.exec(schema);
  }

  /** Notes that a module, named by its key, is loaded in an env. */
  used(env: ResolvedEnv): void {
    this.#options.database
      .prepare("INSERT OR REPLACE INTO env (name, env, usedAtMs) VALUES (?, ?, ?)")
      .run(env.name, JSON.stringify(env), Date.now());
  }

  /** Keeps what the user wrote of a module's env, for runs that name the module by its key. */
  keepModule(key: string, env: EnvSpec): void {
    this.#options.database
      .prepare("INSERT OR IGNORE INTO module (key, env) VALUES (?, ?)")
      .run(key, JSON.stringify(env));
  }

  envOfModule(key: string): EnvSpec | undefined {
    const row = this.#options.database.prepare("SELECT env FROM module WHERE key = ?").get(key);
    return row && (JSON.parse(row["env"] as string) as EnvSpec);
  }

  async list(): Promise<EnvStatus[]> {
    const { envs, pools } = this.#options;
    return Promise.all(
      this.#all().map(async ({ env, id, usedAtMs }) => {
        const { state, error, sizeBytes } = await envs.status(id);
        return {
          name: env.name,
          id,
          reqs: env.reqs,
          dependencies: env.install.dependencies,
          replicas: env.replicas,
          concurrency: env.concurrency,
          varNames: Object.keys(env.vars),
          usedAtMs,
          state,
          ...(error === undefined ? {} : { error }),
          liveReplicas: pools.replicaCount(({ name }) => name === env.name),
          sizeBytes,
        };
      }),
    );
  }

  /** Ends all replicas of what is installed for the env, which may have other names too, and installs it anew. */
  async rebuild(name: string, options: { signal: AbortSignal; onOutput: (line: string) => void }): Promise<void> {
    const { envs, pools } = this.#options;
    const { env, id } = this.#named(name);
    const shares = (other: ResolvedEnv) => envId(other.install) === id;
    this.#refuseIfBusy(name, shares);
    await pools.whileBlocked(id, async () => {
      this.#options.maps.detach(shares);
      await pools.end(shares);
      await envs.remove(id);
      await envs.install(env.install, options);
    });
  }

  async remove(name: string): Promise<void> {
    const { database, envs, pools, maps } = this.#options;
    const { id } = this.#named(name);
    const shared = this.#all().some((other) => other.id === id && other.env.name !== name);
    const goes = (other: ResolvedEnv) => other.name === name || (!shared && envId(other.install) === id);
    this.#refuseIfBusy(name, goes);
    await pools.whileBlocked(id, async () => {
      maps.detach(goes);
      await pools.end(goes);
      if (!shared) await envs.remove(id);
    });
    database.prepare("DELETE FROM env WHERE name = ?").run(name);
  }

  #all(): Known[] {
    const rows = this.#options.database.prepare("SELECT env, usedAtMs FROM env ORDER BY name").all();
    return rows.map((row) => {
      const env = JSON.parse(row["env"] as string) as ResolvedEnv;
      return { env, id: envId(env.install), usedAtMs: row["usedAtMs"] as number };
    });
  }

  #named(name: string): Known {
    const found = this.#all().find(({ env }) => env.name === name);
    if (found) return found;
    throw new FarcallError("env.unknown", `There is no env ${JSON.stringify(name)}.`, {
      hint: "`farcall envs` lists those that were used.",
    });
  }

  #refuseIfBusy(name: string, uses: (env: ResolvedEnv) => boolean): void {
    const { maps, runs } = this.#options;
    const calls = [...runs.liveCalls.values()].filter((call) => uses(call.module.env));
    const [run] = [...calls.map((call) => call.params.run), ...maps.busyRuns(uses)];
    if (run === undefined) return;
    throw new FarcallError("run.state", `The env ${name} is in use: the run ${run} needs what is installed for it.`, {
      hint: `Wait for it, or end it with \`farcall cancel ${run}\`.`,
    });
  }
}
