import { resolve } from "node:path";
import { globPrefix } from "./kinds.ts";

const maxChars = 4096;

/** How an input is named in the record of its run, which is read in other folders: `--input` with its path made absolute. */
export function inputName(given: string, cwd: string = process.cwd()): string | undefined {
  const name =
    given === "-"
      ? given
      : given.startsWith(globPrefix)
        ? globPrefix + resolve(cwd, given.slice(globPrefix.length))
        : resolve(cwd, given);
  return name.length <= maxChars ? name : undefined;
}
