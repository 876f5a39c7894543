import type { ExportInfo } from "../protocol/messages/code.ts";
import { FarcallError } from "../spec/errors.ts";
import type { UserFunction } from "./invoke.ts";

/** What a module exports, and finding a function among it by name. */

const kindByTag: Record<string, ExportInfo["kind"]> = {
  Function: "function",
  AsyncFunction: "async",
  GeneratorFunction: "generator",
  AsyncGeneratorFunction: "async-generator",
};

/** The prototype of a class cannot be reassigned; that of every other function can. */
function isClass(value: object): boolean {
  return typeof value === "function" && Object.getOwnPropertyDescriptor(value, "prototype")?.writable === false;
}

function kindOf(value: unknown): ExportInfo["kind"] {
  if (typeof value !== "function" || isClass(value)) return "other";
  return kindByTag[Object.prototype.toString.call(value).slice("[object ".length, -1)] ?? "function";
}

export function describeExports(exports: Record<string, unknown>): ExportInfo[] {
  return Object.keys(exports).map((name) => {
    const value = exports[name];
    const info: ExportInfo = { name, kind: kindOf(value) };
    if (typeof value === "function" && isClass(value)) {
      info.methods = Object.getOwnPropertyNames(value).filter(
        (key) => !["length", "name", "prototype"].includes(key) && kindOf((value as never)[key]) !== "other",
      );
    }
    return info;
  });
}

/** Finds `name`, or `Class.method`, among own properties only: names come over the wire. */
export function findFunction(exports: Record<string, unknown>, name: string): UserFunction {
  let owner: unknown = undefined;
  let found: unknown = exports;
  for (const part of name.split(".")) {
    if (found === null || (typeof found !== "object" && typeof found !== "function") || !Object.hasOwn(found, part)) {
      throw new FarcallError("bundle.export-unknown", `The module has no export ${JSON.stringify(name)}.`, {
        hint: `It exports ${Object.keys(exports).join(", ") || "nothing"}.`,
      });
    }
    owner = found;
    found = (found as Record<string, unknown>)[part];
  }
  if (typeof found !== "function" || isClass(found)) {
    const what =
      typeof found === "function" ? "a class" : typeof found === "object" ? "an object" : `a ${typeof found}`;
    throw new FarcallError(
      "bundle.export-not-function",
      `The export ${JSON.stringify(name)} is ${what}, not a function.`,
      {
        hint: "Name an exported function, or a static method as Class.method.",
      },
    );
  }
  return owner === exports ? (found as UserFunction) : (found.bind(owner) as UserFunction);
}
