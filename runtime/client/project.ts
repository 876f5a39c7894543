import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { checkProject, projectFileName, type ProjectSpec } from "../spec/project.ts";

export interface FoundProject {
  /** Absolute path of the `farcall.json`. */
  file: string;
  project: ProjectSpec;
}

/** The nearest `farcall.json` in a folder or above it. Throws `spec.invalid`, which names the file and the field. */
export async function findProject(fromFolder: string): Promise<FoundProject | undefined> {
  for (let folder = resolve(fromFolder); ; folder = dirname(folder)) {
    const file = join(folder, projectFileName);
    const text = await readIfThere(file);
    if (text !== undefined) return { file, project: parse(file, text) };
    if (folder === dirname(folder)) return undefined;
  }
}

/** One `farcall.json`. Throws `spec.invalid` as `findProject` does, also when there is no such file. */
export async function readProject(file: string): Promise<ProjectSpec> {
  const text = await readIfThere(file);
  if (text !== undefined) return parse(file, text);
  throw new FarcallError("spec.invalid", `${file}: There is no such file.`);
}

const nothingThere = new Set(["ENOENT", "ENOTDIR", "EISDIR"]);

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if (nothingThere.has((cause as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw new FarcallError("spec.invalid", `${file}: It cannot be read: ${messageOf(cause)}.`, { cause });
  }
}

function parse(file: string, text: string): ProjectSpec {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (cause) {
    throw new FarcallError("spec.invalid", `${file}: It is not JSON: ${messageOf(cause)}.`, { cause });
  }
  try {
    return checkProject(value);
  } catch (cause) {
    if (!(cause instanceof FarcallError)) throw cause;
    throw new FarcallError(cause.code, `${file}: ${cause.message}`, {
      cause,
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    });
  }
}
