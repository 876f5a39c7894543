import type { EnvSpec, MapOptions } from "../../runtime/index.ts";

export { asCommand } from "./repeatCommand.ts";
export { asScript } from "./repeatScript.ts";

/** A run as it can be begun again, by a program or at a command line. */
export interface RunRequest {
  kind: "call" | "map";
  /** Name of the cluster. Default `local`. */
  cluster?: string | undefined;
  /** Absolute path of the source file. */
  file: string;
  export: string;
  /** As the user wrote it. */
  env: EnvSpec;
  /** The env is one of farcall.json, by its name. */
  envFromProject?: boolean | undefined;
  /** Of a call; undefined when they are not known. */
  args?: unknown[] | undefined;
  /** Of a call, in milliseconds. */
  timeoutMs?: number | undefined;
  /** Of a map. */
  options?: MapOptions | undefined;
  /** Of a map, as `openInput` takes it; undefined when they came from a program. */
  input?: string | undefined;
  /** Of a map: names of other clusters that work on it as well. */
  guests?: string[] | undefined;
  /** Whether the function is a generator. Undefined when that is not known: the program then finds out. */
  generator?: boolean | undefined;
}
