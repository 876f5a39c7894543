import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const dist = join(import.meta.dirname, "../../dist");

/** What is read when an entry is: the files that it and those import, other than on demand. */
function readAtOnce(entry: string, seen = new Map<string, string>()): Map<string, string> {
  if (seen.has(entry)) return seen;
  const text = readFileSync(join(dist, entry), "utf8");
  seen.set(entry, text);
  for (const [, name] of text.matchAll(/^(?:import|export)\b[^"';]*["']\.\/([^"']+)["'];/gm)) readAtOnce(name!, seen);
  return seen;
}

describe("what was built", () => {
  it.each(["cli.js", "index.js", "extension.js"])(
    "does not read SSH or NATS with %s, only when a machine is reached",
    (entry) => {
      const files = readAtOnce(entry);
      expect(files.size).toBeGreaterThan(1);
      const heavy = [...files].filter(([, text]) => /ssh-userauth|permissions violation/.test(text));
      expect(heavy.map(([name]) => name)).toEqual([]);
    },
  );

  it("does not load SQLite with the library or the command line, only when something is to be locked", () => {
    for (const entry of ["cli.js", "index.js"]) {
      const loading = [...readAtOnce(entry)].filter(([, text]) => /from\s*"node:sqlite"/.test(text));
      expect(loading.map(([name]) => name)).toEqual([]);
    }
  });
});
