import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import { isIdentifier } from "./literal.ts";
import { namedInput } from "./repeatPaths.ts";

/** The inputs of a map in a program of plain Node. */
export interface InputsCode {
  imports: string[];
  /** Functions of the program, each with an empty line behind it. */
  functions: string[];
  /** Lines that make `inputs`. */
  lines: string[];
}

/** `input` as `openInput` takes it; undefined when the inputs are not known. */
export function inputsCode(input: string | undefined, folder: string): InputsCode {
  if (input === undefined) {
    const why = [
      "// The inputs of this run came from a program, so they are not known here:",
      "// write them in place of this, or anything that can be iterated over.",
    ];
    return { imports: [], functions: [], lines: [...why, "const inputs = [/* … */];"] };
  }
  const named = namedInput(input, folder);
  switch (named.kind) {
    case "stdin":
      return {
        imports: [],
        functions: [jsonLinesCode],
        lines: ['const inputs = jsonLines(process.stdin.setEncoding("utf8"));'],
      };
    case "glob":
      return {
        imports: ['import { glob, stat } from "node:fs/promises";', 'import { resolve } from "node:path";'],
        functions: [],
        lines: globLines(named.path),
      };
    case "export":
      return {
        imports: [exportImport(named.path, named.name)],
        functions: [],
        lines: [
          'const given: unknown = typeof source === "function" ? await (source as () => unknown)() : source;',
          "const inputs = given as Iterable<never> | AsyncIterable<never>;",
        ],
      };
    case "array":
      return {
        imports: ['import { readFile } from "node:fs/promises";', ...joinImport(named.path)],
        functions: [],
        lines: [
          `const text = await readFile(${fileCode(named.path)}, "utf8");`,
          String.raw`const inputs = JSON.parse(text.replace(/^\ufeff/, ""));`,
        ],
      };
    case "lines":
      return {
        imports: ['import { createReadStream } from "node:fs";', ...joinImport(named.path)],
        functions: [jsonLinesCode],
        lines: [`const inputs = jsonLines(createReadStream(${fileCode(named.path)}, "utf8"));`],
      };
    case "csv":
    case "tsv":
      return {
        imports: ['import { readFile } from "node:fs/promises";', ...joinImport(named.path)],
        functions: [csvRowsCode(named.kind === "csv" ? "," : String.raw`\t`)],
        lines: [`const inputs = csvRows(await readFile(${fileCode(named.path)}, "utf8"));`],
      };
  }
}

function joinImport(path: string): string[] {
  return isAbsolute(path) ? [] : ['import { join } from "node:path";'];
}

function fileCode(path: string): string {
  return isAbsolute(path) ? JSON.stringify(path) : `join(import.meta.dirname, ${JSON.stringify(path)})`;
}

function exportImport(path: string, name: string): string {
  // A specifier is a URL, in which these have a meaning.
  const url = isAbsolute(path)
    ? pathToFileURL(path).href
    : `./${encodeURI(path).replaceAll(/[?#]/g, encodeURIComponent)}`;
  return `import { ${isIdentifier(name) ? name : JSON.stringify(name)} as source } from ${JSON.stringify(url)};`;
}

function globLines(pattern: string): string[] {
  return [
    "const inputs: any[] = [];",
    `for await (const path of glob(${JSON.stringify(pattern)}, { cwd: import.meta.dirname })) {`,
    "  const file = resolve(import.meta.dirname, path);",
    "  if ((await stat(file).catch(() => undefined))?.isFile()) inputs.push(file);",
    "}",
    "inputs.sort();",
  ];
}

// Node's own readers of lines would also cut at U+2028, which JSON may hold.
const jsonLinesCode = String.raw`/** The values of a text with a JSON value on each line, as they are needed. */
async function* jsonLines(text: AsyncIterable<string>): AsyncGenerator<any> {
  let rest = "";
  for await (const chunk of text) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line.trim());
  }
  if (rest.trim() !== "") yield JSON.parse(rest.trim());
}
`;

function csvRowsCode(delimiter: string): string {
  return String.raw`/** The rows of a CSV file, each an object by the header row. */
function* csvRows(text: string): Generator<any> {
  const field = /(?:"([^"]*(?:""[^"]*)*)"|([^"${delimiter}\r\n]*))(${delimiter}|\r\n|\n|\r|$)/y;
  field.lastIndex = text.startsWith("\ufeff") ? 1 : 0;
  let header: string[] | undefined;
  for (let row: string[] = []; ; ) {
    const found = field.exec(text);
    if (!found) throw new Error("The quotes of row " + JSON.stringify(row) + " are wrong.");
    const [all, quoted, plain = "", end] = found;
    row.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === "${delimiter}") continue;
    if (row.length > 1 || all !== end) {
      if (header && header.length !== row.length) throw new Error("Row " + JSON.stringify(row) + " is not like the header.");
      if (header) yield Object.fromEntries(header.map((name, i) => [name, row[i]]));
      else header = row;
    }
    if (end === "") return;
    row = [];
  }
}
`;
}
