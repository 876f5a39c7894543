import { FarcallError, messageOf } from "../spec/errors.ts";

/** One package as a lockfile records it. */
export interface LockedPackage {
  /** Name in the registry, which is not the name it is imported by when the project aliases it. */
  name: string;
  version: string;
  /** Subresource integrity, when the lockfile has one of SHA-512. */
  integrity?: string;
  /** Where it comes from, in words, when that is not a registry: npm cannot get it by name and version. */
  foreign?: string;
  /** It lies inside the archive of the package that needs it, so nothing can or need be pinned. */
  bundled?: boolean;
  /** What it needs: id of a package by the name it is imported by. */
  needs: Map<string, string>;
}

/** What every lockfile format comes down to. */
export interface LockGraph {
  /** By an id that means nothing outside the graph. */
  packages: Map<string, LockedPackage>;
  /**
   * The id of the package that code in `folder` gets when it imports `name`. `folder` is relative to the
   * lockfile, with `/` between its parts and empty for the folder of the lockfile. `declared` is the range of
   * the package.json that declares `name`, if one does.
   */
  direct(folder: string, name: string, declared: string | undefined): string | undefined;
}

/** The entries of an object read from a file, or none when it is not an object. Safe for any key. */
export function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
}

/** An own field of an object read from a file; a key such as `__proto__` never reaches what is inherited. */
export function fieldOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

export function textOf(value: unknown, key: string): string | undefined {
  const field = fieldOf(value, key);
  return typeof field === "string" ? field : undefined;
}

const namePart = "[A-Za-z0-9~][A-Za-z0-9._~-]*";
const namePattern = new RegExp(`^(?:@${namePart}/)?${namePart}$`);

/** npm's rules for names, capitals included, which only old packages have: https://docs.npmjs.com/cli/v11/configuring-npm/package-json#name */
export function isPackageName(name: string): boolean {
  return name.length <= 214 && namePattern.test(name) && name !== "node_modules" && name !== "favicon.ico";
}

const exactPattern = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

export function isExactVersion(version: string): boolean {
  return version.length <= 256 && exactPattern.test(version);
}

/** Splits `name@rest` and `@scope/name@rest`; the rest is empty when there is none. */
export function splitDescriptor(descriptor: string): [name: string, rest: string] {
  const at = descriptor.indexOf("@", 1);
  return at < 0 ? [descriptor, ""] : [descriptor.slice(0, at), descriptor.slice(at + 1)];
}

/** A locked package; one whose name or version npm would not take counts as foreign. */
export function lockedPackage(name: string, version: string, integrity: unknown, foreign?: string): LockedPackage {
  const odd = isPackageName(name) && isExactVersion(version) ? undefined : "a place other than a registry";
  const why = foreign ?? odd;
  const sha512 =
    typeof integrity === "string" ? /(?:^|\s)(sha512-[A-Za-z0-9+/]{86}==)(?:\s|$)/.exec(integrity)?.[1] : undefined;
  return {
    name,
    version,
    ...(sha512 !== undefined && { integrity: sha512 }),
    ...(why !== undefined && { foreign: why }),
    needs: new Map(),
  };
}

export function lockfileError(file: string, why: unknown): FarcallError {
  const line = lineOf(why);
  const message = messageOf(why).split("\n", 1)[0]!.replace(/\.$/, "");
  return new FarcallError(
    "env.lockfile-invalid",
    `Cannot read the lockfile ${file}${line === undefined ? "" : `, line ${line}`}: ${message}.`,
    {
      hint: "Let your package manager write it again (npm install, pnpm install or yarn install), or write the version of each package in the env's reqs.",
      cause: why,
    },
  );
}

/** The line a parser stopped at: js-yaml has `mark`, the parser of yarn's first format `location`, V8 only words. */
function lineOf(thrown: unknown): number | undefined {
  const fromZero = fieldOf(fieldOf(thrown, "mark"), "line");
  if (typeof fromZero === "number") return fromZero + 1;
  const fromOne = fieldOf(fieldOf(fieldOf(thrown, "location"), "start"), "line");
  if (typeof fromOne === "number") return fromOne;
  const inWords = /\(line (\d+) column \d+\)/.exec(messageOf(thrown))?.[1];
  return inWords === undefined ? undefined : Number(inWords);
}
