import type { JobRecord } from "../queue/mapQueue.ts";
import type { MapSpec } from "../protocol/messages/maps.ts";
import { FarcallError } from "../spec/errors.ts";
import type { RunId } from "../spec/names.ts";

/** A function as a person knows it: `file#export`, the file relative to its project. */
export function label({ module, export: name }: Pick<MapSpec, "module" | "export">): string {
  const { file, root } = module.source;
  const short = file.startsWith(root) ? file.slice(root.length).replace(/^[\\/]/, "") : file;
  return `${short}#${name}`;
}

export function runUnknown(run: RunId): FarcallError {
  return new FarcallError("run.unknown", `There is no run ${run}.`, { hint: "`farcall runs` lists them." });
}

/** What the queue has of a map, as it was asked for. */
export function mapSpecOf({ spec }: JobRecord): MapSpec {
  return JSON.parse(spec) as MapSpec;
}
