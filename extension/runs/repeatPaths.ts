import { isAbsolute, relative, resolve, sep } from "node:path";
import { type FileKind, fileKind, globPrefix, splitExport } from "../../runtime/inputs/kinds.ts";

/** Where the inputs of a map come from, told by the words alone. */
export type NamedInput =
  | { kind: "stdin" }
  | { kind: "glob"; path: string }
  | { kind: "export"; path: string; name: string }
  | { kind: FileKind; path: string };

const moduleEnding = /\.[cm]?[jt]sx?$/;

/** Takes an input apart; its path is seen from `folder`, or absolute when it lies outside. */
export function namedInput(input: string, folder: string): NamedInput {
  if (input === "-") return { kind: "stdin" };
  if (input.startsWith(globPrefix)) return { kind: "glob", path: pathIn(folder, input.slice(globPrefix.length)) };
  const named = splitExport(input);
  if (named && moduleEnding.test(named.file)) {
    return { kind: "export", path: pathIn(folder, named.file), name: named.name };
  }
  return { kind: fileKind(input), path: pathIn(folder, input) };
}

/** What is in the folder becomes relative, what was relative stays so, and the rest stays absolute. */
function pathIn(folder: string, path: string): string {
  const inside = relative(folder, resolve(folder, path));
  const isOutside = inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside);
  return withSlashes(isAbsolute(path) && isOutside ? path : inside);
}

/** The way from a folder to a file; absolute when there is none, as between two drives. */
export function pathFrom(folder: string, file: string): string {
  return withSlashes(relative(folder, file));
}

function withSlashes(path: string): string {
  return sep === "\\" ? path.replaceAll("\\", "/") : path;
}
