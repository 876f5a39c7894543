import type { Inputs } from "../spec/inputs.ts";
import type { MapOptions } from "../spec/map.ts";
import type { MapRun } from "./mapRun.ts";
import type { CallOptions, MapBegin, RemoteModule } from "./module.ts";

/** A module's exports as they look from afar: the same functions, answering with promises and streams. */

// The parameter list has to accept every function; `never` would refuse those with required parameters.
// oxlint-disable-next-line typescript/no-explicit-any -- a constraint on any function has no other spelling
type AnyFunction = (...args: any[]) => unknown;

/** What a call of a remote function gives: a stream for a generator, a promise for everything else. */
export type RemoteResult<R> = R extends AsyncGenerator<infer Y, infer Z> | Generator<infer Y, infer Z>
  ? AsyncGenerator<Awaited<Y>, Awaited<Z>, undefined>
  : Promise<Awaited<R>>;

/** What one input of a map becomes: what the function returns, for a generator all it yields. */
export type MappedValue<R> = R extends AsyncGenerator<infer Y> | Generator<infer Y> ? Awaited<Y>[] : Awaited<R>;

export interface RemoteFunction<F extends AnyFunction> {
  (...args: Parameters<F>): RemoteResult<ReturnType<F>>;
  /** The function over many inputs, each given as its first argument. */
  map(inputs: Inputs<Parameters<F>[0]>, options?: MapOptions & MapBegin): MapRun<MappedValue<ReturnType<F>>>;
  /** The same function with a signal or a time limit. */
  with(options: CallOptions): (...args: Parameters<F>) => RemoteResult<ReturnType<F>>;
}

/** The functions of a module; its other exports stay at home. */
export type Remote<M> = {
  [K in keyof M as M[K] extends AnyFunction ? K : never]: M[K] extends AnyFunction ? RemoteFunction<M[K]> : never;
};

export async function remoteExports<M>(module: RemoteModule): Promise<Remote<M>> {
  const { exports } = await module.load();
  const remote: Record<string, unknown> = {};
  for (const { name, kind, methods } of exports) {
    if (kind !== "other")
      remote[name] = remoteFunction(module, name, kind === "generator" || kind === "async-generator");
    else if (methods?.length) {
      remote[name] = Object.fromEntries(
        methods.map((method) => [method, remoteFunction(module, `${name}.${method}`, false)]),
      );
    }
  }
  return remote as Remote<M>;
}

function remoteFunction(module: RemoteModule, name: string, streams: boolean): unknown {
  const withOptions =
    (options: CallOptions) =>
    (...args: unknown[]) =>
      streams ? module.stream(name, args, options) : module.call(name, args, options);
  const call = (...args: unknown[]) => (streams ? module.stream(name, args) : module.call(name, args));
  return Object.assign(call, {
    map: (inputs: Inputs<unknown>, options?: MapOptions & MapBegin) => module.map(name, inputs, options),
    with: withOptions,
  });
}
