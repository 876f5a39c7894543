import { extname } from "node:path";

/** How the inputs of a map are named, told by the words alone. */

export const globPrefix = "glob:";

export type FileKind = "array" | "csv" | "tsv" | "lines";

/** What a file of inputs holds, by its name: lines of JSON unless the ending says otherwise. */
export function fileKind(path: string): FileKind {
  const ending = extname(path).toLowerCase();
  return ending === ".json" ? "array" : ending === ".csv" ? "csv" : ending === ".tsv" ? "tsv" : "lines";
}

/** `gen.ts#name` in its two parts; undefined when there is no `#` in it. */
export function splitExport(given: string): { file: string; name: string } | undefined {
  const at = given.lastIndexOf("#");
  return at === -1 ? undefined : { file: given.slice(0, at), name: given.slice(at + 1) };
}
