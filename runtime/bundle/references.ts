/**
 * Finds the files a module names statically: `new URL("./x", import.meta.url)`, `join(__dirname, "x")`,
 * `__dirname + "/x"`, `` `${__dirname}/x` ``, the same with `import.meta.dirname`, and with a constant that holds
 * one of these. A parser would find no more of what is static, and costs more than all the rest of the bundling.
 */
export interface FileReference {
  /** `join`: appended to the module's folder; `resolve`: resolved against it. */
  how: "join" | "resolve";
  parts: string[];
  line: number;
  column: number;
}

const call = (name: string) => String.raw`(?:[\w$]+\.)?\b${name}\(\s*`;
const folderForms = [
  String.raw`\b__dirname\b`,
  String.raw`\bimport\.meta\.dirname\b`,
  `${call("dirname")}${call("fileURLToPath")}${String.raw`import\.meta\.url\s*\)\s*\)`}`,
  `${call("dirname")}${String.raw`(?:__filename|import\.meta\.filename)\s*\)`}`,
];
const literal = String.raw`(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\`(?:[^\`\\]|\\.)*\`)`;

export function findReferences(text: string): FileReference[] {
  const found: FileReference[] = [];
  const add = (how: FileReference["how"], literals: string[], index: number) => {
    const before = text.slice(text.lastIndexOf("\n", index - 1) + 1, index);
    if (/^\s*(\/\/|\/\*|\*)|\s\/\/\s/.test(before)) return;
    const parts = staticParts(literals);
    if (parts.join("") === "") return;
    const line = text.slice(0, index).split("\n").length;
    found.push({ how, parts, line, column: before.length + 1 });
  };

  const folder = `(?:${[...folderForms, ...folderNames(text)].join("|")})`;
  const every = (pattern: string) => text.matchAll(new RegExp(pattern, "g"));

  for (const match of every(String.raw`\bnew\s+URL\(\s*(${literal})\s*,\s*import\.meta\.url\b`)) {
    const path = urlPath(staticParts([match[1]!]).join(""));
    if (path !== undefined) add("join", [JSON.stringify(path)], match.index);
  }
  for (const match of every(String.raw`\b(join|resolve)\(\s*${folder}\s*((?:,\s*${literal}\s*)+)`)) {
    const literals = match[2]!.match(new RegExp(literal, "g")) ?? [];
    add(match[1] as "join" | "resolve", literals, match.index);
  }
  for (const match of every(String.raw`${folder}\s*\+\s*(${literal})(\s*\+)?`)) {
    add("join", [match[2] === undefined ? match[1]! : `\`${match[1]!.slice(1, -1)}\${\``], match.index);
  }
  for (const match of every(String.raw`\`\$\{\s*${folder}\s*\}((?:[^\`\\]|\\.)*)\``)) {
    add("join", [`\`${match[1]}\``], match.index);
  }
  return found;
}

/** Constants that are set to the module's folder: `const here = import.meta.dirname`. */
function folderNames(text: string): string[] {
  const pattern = new RegExp(
    String.raw`\b(?:const|let|var)\s+([\w$]+)\s*=\s*(?:${folderForms.join("|")})\s*[;\n,]`,
    "g",
  );
  return [...text.matchAll(pattern)].map(
    (match) => String.raw`(?<![\w$.])${match[1]!.replaceAll("$", "\\$")}(?![\w$])`,
  );
}

/**
 * What the literals say, up to the first template with a substitution; of that one, the folder it surely names:
 * what stands before the last slash before the substitution.
 */
function staticParts(literals: string[]): string[] {
  const parts: string[] = [];
  for (const source of literals) {
    const open = source.startsWith("`") ? source.indexOf("${") : -1;
    const end = open === -1 ? source.length - 1 : Math.max(1, source.lastIndexOf("/", open) + 1);
    parts.push(source.slice(1, end).replace(/\\(.)/g, "$1"));
    if (open !== -1) break;
  }
  return parts;
}

function urlPath(reference: string): string | undefined {
  if (/^([a-z][a-z\d+.-]*:|\/)/i.test(reference)) return undefined;
  try {
    return decodeURIComponent(reference.replace(/[?#].*$/, ""));
  } catch {
    return undefined;
  }
}
