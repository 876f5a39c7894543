/**
 * Gathers the texts that the extension and its pages show into `l10n/bundle.l10n.json`, from which translations
 * are made: `node scripts/l10n.ts`. A test sees that the file is up to date.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "@babel/parser";

const root = join(import.meta.dirname, "..");
export const bundleFile = join(root, "l10n/bundle.l10n.json");

interface Node {
  type: string;
  [key: string]: unknown;
}

/**
 * The English texts given to `vscode.l10n.t` in `extension/` and to `t` and `counted` in `webview/`. Throws for one that
 * is no literal.
 */
export function collectTexts(): string[] {
  const texts = new Set<string>();
  for (const file of globSync("{extension,webview}/**/*.{ts,tsx}", { cwd: root })) {
    const source = readFileSync(join(root, file), "utf8");
    const { program } = parse(source, {
      sourceType: "module",
      plugins: file.endsWith("x") ? ["typescript", "jsx"] : ["typescript"],
    });
    visit(program as unknown as Node, (node) => {
      if (node.type !== "CallExpression") return;
      const [from, to] = textArguments(node["callee"] as Node, file);
      for (const argument of (node["arguments"] as Node[]).slice(from, to)) {
        const text = literal(argument);
        // The wrappers themselves pass on what they were given.
        if (text === undefined && file === join("webview", "text.ts")) return;
        if (text === undefined) throw new Error(`${file}: a text to translate is no literal`);
        texts.add(text);
      }
    });
  }
  return [...texts].sort();
}

/** Which arguments of a call are texts to translate: from, and to which one that is none. */
function textArguments(callee: Node, file: string): [from: number, to: number] {
  if (callee.type === "Identifier" && file.startsWith("webview")) {
    if (callee["name"] === "t") return [0, 1];
    if (callee["name"] === "counted") return [1, 3];
  }
  if (callee.type !== "MemberExpression") return [0, 0];
  const object = callee["object"] as Node;
  const isOurs =
    (callee["property"] as Node)["name"] === "t" &&
    object.type === "MemberExpression" &&
    (object["property"] as Node)["name"] === "l10n";
  return isOurs ? [0, 1] : [0, 0];
}

function literal(node: Node): string | undefined {
  if (node.type === "StringLiteral") return node["value"] as string;
  if (node.type !== "TemplateLiteral" || (node["expressions"] as Node[]).length > 0) return undefined;
  return ((node["quasis"] as Node[])[0]!["value"] as { cooked: string }).cooked;
}

function visit(node: Node, act: (node: Node) => void): void {
  act(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (typeof child === "object" && child !== null && typeof (child as Node).type === "string")
        visit(child as Node, act);
    }
  }
}

export function bundleText(): string {
  return `${JSON.stringify(Object.fromEntries(collectTexts().map((text) => [text, text])), null, 2)}\n`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(bundleFile, bundleText());
