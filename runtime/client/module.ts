import { type Bundle, bundle, checkExport } from "../bundle/bundle.ts";
import { type PackageNeed, parseRequirement, resolveInstall } from "../bundle/requirements.ts";
import { decodeValue, encodeValue } from "../protocol/codec.ts";
import type { ExportInfo, ModuleRef } from "../protocol/messages/code.ts";
import type { MapSpec } from "../protocol/messages/maps.ts";
import { handOff } from "../protocol/handOff.ts";
import type { OnItem } from "../protocol/rpc.ts";
import { checkEnvSpec, type EnvSpec, type ResolvedEnv, resolveEnv } from "../spec/env.ts";
import { FarcallError } from "../spec/errors.ts";
import type { Inputs } from "../spec/inputs.ts";
import { checkMapOptions, type MapOptions } from "../spec/map.ts";
import { isRunId, newRunId } from "../spec/names.ts";
import { printWarning } from "./guests/guest.ts";
import { guestPlaces, type WorkPlace } from "./guests/workPlace.ts";
import { MapRun } from "./mapRun.ts";
import { reviveError } from "./remoteErrors.ts";
import type { Session } from "./session.ts";
import { StackMapper } from "./stacks.ts";
import { bundleRef, sync, type SyncResult } from "./sync.ts";

/** A source file on a cluster: bundled, sent, its env ready, its functions callable. */

export interface LoadOptions {
  env?: EnvSpec | undefined;
  signal?: AbortSignal | undefined;
  /** Lines that say what takes time, such as the install of an env. */
  onProgress?: ((line: string) => void) | undefined;
  /** Where bundled third-party code is kept between processes. Default: nowhere. */
  cacheFolder?: string | undefined;
  /** The cluster that the module is on, and how others are found by name, for maps on several. */
  place?: WorkPlace | undefined;
  placeNamed?: ((name: string) => WorkPlace) | undefined;
}

export interface CallOptions {
  /** Aborting cancels the call; the remote function sees it on `context().signal`. */
  signal?: AbortSignal;
  /** Milliseconds after which the call is given up. Default: no limit. */
  timeoutMs?: number;
  /**
   * Whether the call goes on when this process ends or loses the connection; `runs.open(run)` finds its result.
   * Default false: such a call is cancelled.
   */
  detached?: boolean;
  /** The call's id in the record of runs, as `newRunId` makes them. Default: a new one. */
  run?: string;
}

/** What a map may be given besides what its user sets. */
export interface MapBegin {
  /** Goes on with this run. */
  run?: string | undefined;
  /** How the inputs were come by, for whoever repeats the run; at most 4,096 characters. */
  input?: string | undefined;
  /**
   * Clusters that work on the map together, objects or names. The one that the function was imported on always does
   * and holds the map; the others do while this process is there. What `options` say of replicas holds for each.
   */
  on?: readonly (string | WorkPlace)[] | undefined;
  /** Told, as one line, when one of the others is lost, is back, or cannot go on. Default: standard error. */
  onWarning?: ((line: string) => void) | undefined;
}

export class RemoteModule {
  readonly bundle: Bundle;
  readonly ref: ModuleRef;
  readonly mapper: StackMapper;
  readonly session: Session;
  readonly #options: LoadOptions;
  #signal: AbortSignal | undefined;
  #loaded: Loaded | undefined;
  #loading: Promise<Loaded> | undefined;

  private constructor(session: Session, built: Bundle, env: ResolvedEnv, options: LoadOptions) {
    this.session = session;
    this.#options = options;
    this.#signal = options.signal;
    this.bundle = built;
    this.ref = { bundle: bundleRef(built), env, source: { file: built.sourceFile, root: built.sourceRoot } };
    const { bundle: ref, source } = this.ref;
    this.mapper = new StackMapper(session, { source, bundle: built.hash }, { ref, contents: built.contents });
  }

  /** Bundles a file. Nothing is sent before the first call or `load`. */
  static async open(session: Session, file: string, options: LoadOptions = {}): Promise<RemoteModule> {
    const spec = checkEnvSpec(options.env ?? {});
    const requirements = (spec.reqs ?? []).map(parseRequirement);
    // The connection is made while the bundler works; whoever needs it first hears if it failed.
    session.connect(options.signal).catch(() => undefined);
    const built = await bundle(file, {
      reqs: spec.reqs ?? [],
      ...(options.signal ? { signal: options.signal } : {}),
      ...(options.cacheFolder === undefined ? {} : { cacheFolder: options.cacheFolder }),
    });
    const packages = new Map(requirements.map((each) => [each.name, each as PackageNeed]));
    for (const { name, version } of built.external) {
      const known = packages.get(name) ?? { name };
      packages.set(name, version === undefined ? known : { ...known, installedVersion: version });
    }
    const allowScripts = spec.allowScripts ?? false;
    const install =
      packages.size === 0
        ? { dependencies: {}, overrides: {}, integrity: {}, allowScripts: false }
        : await resolveInstall(built.sourceFile, [...packages.values()], allowScripts);
    return new RemoteModule(session, built, resolveEnv(spec, install), options);
  }

  /** Brings the bundle and the env to the cluster and asks what the module exports. */
  load(): Promise<Loaded> {
    if (this.#loaded) return Promise.resolve(this.#loaded);
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  /** Brings them again to a cluster that may not be what it was. An abort of `signal` ends the attempt. */
  reload(signal: AbortSignal): Promise<Loaded> {
    this.#loaded = undefined;
    this.#signal = signal;
    return this.load();
  }

  /** The same code in an env of the same description, on another cluster. */
  on(session: Session): RemoteModule {
    const { bundle, ref } = this;
    return new RemoteModule(session, bundle, ref.env, this.#options);
  }

  /** Throws `bundle.export-unknown` or `bundle.export-not-function` unless `name` can be called. */
  async find(name: string): Promise<ExportInfo> {
    checkExport(this.bundle, name);
    const { exports } = await this.load();
    const [first = "", ...rest] = name.split(".");
    const found = exports.find((each) => each.name === first);
    if (!found) {
      throw new FarcallError(
        "bundle.export-unknown",
        `${this.bundle.sourceFile} has no export ${JSON.stringify(name)}.`,
        {
          hint: `It exports ${exports.map((each) => each.name).join(", ") || "nothing"}.`,
        },
      );
    }
    if (rest.length > 0) {
      if (rest.length === 1 && found.methods?.includes(rest[0]!)) return { name, kind: "async" };
    } else if (found.kind !== "other") return found;
    throw new FarcallError(
      "bundle.export-not-function",
      `The export ${JSON.stringify(name)} of ${this.bundle.sourceFile} is not a function.`,
      {
        hint: found.methods?.length
          ? `It is a class; its static methods can be called: ${found.methods.map((method) => `${first}.${method}`).join(", ")}.`
          : `Functions it exports: ${functionNames(exports) || "none"}.`,
      },
    );
  }

  /** One call. Yielded values of a generator go to `onItem`; without it they become an array. */
  async call(
    name: string,
    args: readonly unknown[],
    options: CallOptions = {},
    onItem?: (value: unknown) => void | Promise<void>,
  ): Promise<unknown> {
    const body = encodeValue(args);
    const { module } = this.#loaded ?? (await this.load());
    const run = options.run ?? newRunId();
    if (options.run !== undefined && !isRunId(run)) {
      throw new FarcallError("name.invalid", `The run id ${JSON.stringify(run)} is not allowed.`, {
        hint: "Leave it out, or make one with newRunId().",
      });
    }
    const yielded: unknown[] = [];
    const take: OnItem = (_item, bytes) => {
      const value = decodeValue(bytes);
      if (onItem) return onItem(value);
      yielded.push(value);
    };
    const { signal, timeoutMs, detached } = options;
    const params = {
      run,
      module,
      export: name,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(detached ? { detached } : {}),
    };
    const { value, body: answer } = await this.#request(params, body, signal, take);
    if (!value.ok) throw await reviveError(answer, { run, replica: value.replica }, this.mapper);
    const returned = decodeValue(answer);
    return yielded.length > 0 ? yielded : returned;
  }

  /** The values of a remote generator, as they are yielded and no faster than they are read. */
  stream(
    name: string,
    args: readonly unknown[],
    options: CallOptions = {},
  ): AsyncGenerator<unknown, unknown, undefined> {
    return handOff((give, signal) => this.call(name, args, { ...options, signal }, give), options.signal);
  }

  /** Begins a map, or with `run` goes on with one whose inputs were not all sent. */
  map<T>(name: string, inputs: Inputs<unknown>, options: MapOptions & MapBegin = {}): MapRun<T> {
    const { run, input, on = [], onWarning = printWarning, ...rest } = options;
    const { place, placeNamed } = this.#options;
    const guests = guestPlaces(on, place, placeNamed, this);
    const named = guests.flatMap(({ name, isNamed }) => (isNamed ? [name] : []));
    const spec: MapSpec = {
      module: this.ref,
      export: name,
      options: checkMapOptions(rest),
      ...(input === undefined ? {} : { input }),
      ...(named.length === 0 ? {} : { guests: named }),
    };
    return new MapRun<T>({
      run,
      session: this.session,
      spec,
      mapper: this.mapper,
      inputs,
      ready: () => Promise.all([this, ...guests.map(({ module }) => module)].map((each) => each.find(name))),
      guests: { places: guests, homeName: place?.name ?? "", onWarning },
    });
  }

  async #request(
    params: Parameters<Session["request"]>[1],
    body: Uint8Array,
    signal: AbortSignal | undefined,
    take: OnItem,
  ) {
    try {
      return await this.session.request("call", params as never, { body, signal }, take);
    } catch (error) {
      // The agent was replaced since the module was loaded: nothing has run, so it can be asked again.
      if (!(error instanceof FarcallError && error.code === "module.unknown")) throw error;
      this.#loaded = undefined;
      const { module } = await this.load();
      return this.session.request("call", { ...params, module } as never, { body, signal }, take);
    }
  }

  async #load(): Promise<Loaded> {
    const { onProgress } = this.#options;
    const { contents } = this.bundle;
    // Meant for the import, not for what happens after an agent was replaced in an hour.
    const signal = this.#signal;
    this.#signal = undefined;
    let missing = Number.POSITIVE_INFINITY;
    return this.session.withRetry(async (patience) => {
      const onMissing = (files: number) => {
        // The link was cut, and yet something got through.
        if (files < missing) patience.renew();
        missing = files;
      };
      const synced = await sync(this.session, [...contents.keys()], (hash) => contents.get(hash), {
        signal,
        onMissing,
      });
      const stream = this.session.stream("module.load", { module: this.ref }, { signal });
      try {
        for (;;) {
          const next = await stream.next();
          if (!next.done) {
            onProgress?.(next.value.value.line);
            continue;
          }
          const { module, exports, env } = next.value.value;
          this.#loaded = { module, exports, env, synced };
          return this.#loaded;
        }
      } finally {
        await stream.return(undefined as never);
      }
    }, signal);
  }
}

interface Loaded {
  module: string;
  exports: ExportInfo[];
  env: "reused" | "installed";
  synced: SyncResult;
}

function functionNames(exports: readonly ExportInfo[]): string {
  return exports
    .filter((each) => each.kind !== "other")
    .map((each) => each.name)
    .join(", ");
}
