import type { MapSpec } from "../protocol/messages/maps.ts";

/** A function as a person knows it: `file#export`, the file relative to its project. */
export function label({ module, export: name }: Pick<MapSpec, "module" | "export">): string {
  const { file, root } = module.source;
  const short = file.startsWith(root) ? file.slice(root.length).replace(/^[\\/]/, "") : file;
  return `${short}#${name}`;
}
