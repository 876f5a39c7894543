import { type Imported, Locals } from "./locals.ts";
import { joined, type ReadModule } from "./reExports.ts";
import { scanExports, type ScanLanguage } from "./scanExports.ts";
import { keyName, parseBeforeError, parseModule, unwrap, type Expression, type Statement } from "./syntax.ts";

/** The exports of a module that may give the inputs of a map, as far as its text says. */

export interface InputExport {
  name: string;
  /** A function is called without arguments. Of what comes from elsewhere, only running it tells. */
  kind: "function" | "array" | "unknown";
}

interface ScanInputsOptions {
  fileName: string;
  readModule?: ReadModule;
}

/** What surely cannot be iterated over, or is a text, whose letters nobody means. */
const others = new Set<string>([
  "NumericLiteral",
  "BigIntLiteral",
  "BooleanLiteral",
  "NullLiteral",
  "StringLiteral",
  "TemplateLiteral",
  "RegExpLiteral",
  "ObjectExpression",
  "ClassExpression",
  "ClassDeclaration",
  "FunctionDeclaration",
  "FunctionExpression",
  "ArrowFunctionExpression",
  "UnaryExpression",
]);

/** Modules are followed this far, which also ends cycles. */
const maxDepth = 2;

/** In the order of the text; functions that need arguments are not among them. Never throws. */
export function scanInputs(text: string, language: ScanLanguage, options: ScanInputsOptions, depth = 0): InputExport[] {
  const { fileName, readModule } = options;
  const parsed = parseModule(text, language, fileName) ?? parseBeforeError(text, language, fileName);
  if (!parsed) return [];
  const functions = new Map(scanExports(text, language, options).functions.map((each) => [each.exportPath, each]));
  const locals = new Locals(parsed.body);
  const elsewhere = ({ specifier, name }: Imported): InputExport["kind"] | undefined => {
    const other = depth < maxDepth ? readModule?.(specifier) : undefined;
    // Of a package, nothing is known.
    if (other === undefined) return "unknown";
    const inner = { fileName: specifier, readModule: (nested: string) => readModule?.(joined(specifier, nested)) };
    return scanInputs(other, language, inner, depth + 1).find((each) => each.name === name)?.kind;
  };
  const kindOf = (name: string, value: Expression | string | Imported): InputExport["kind"] | undefined => {
    const fn = functions.get(name);
    if (fn && fn.kind !== "unknown") return fn.params.every(({ optional }) => optional) ? "function" : undefined;
    if (typeof value === "string") {
      const local = locals.follow(value);
      if (local) return kindOfValue(local.value as Expression);
      const imported = locals.imported(value);
      return imported && elsewhere(imported);
    }
    return "specifier" in value ? elsewhere(value) : kindOfValue(value);
  };
  const found = new Map<string, InputExport>();
  const values = [...exportedValues(parsed.body)];
  for (const { name, value } of values) {
    const kind = kindOf(name, value);
    if (kind) found.set(name, { name, kind });
  }
  // A CommonJS module has functions that were found, and no other export that the text tells of.
  if (values.length === 0) {
    for (const [name, { params }] of functions) {
      if (!name.includes(".") && params.every(({ optional }) => optional)) found.set(name, { name, kind: "function" });
    }
  }
  return [...found.values()];
}

function kindOfValue(value: Expression): InputExport["kind"] | undefined {
  const { type } = unwrap(value).expression;
  if (others.has(type)) return undefined;
  return type === "ArrayExpression" ? "array" : "unknown";
}

/** Names with their values, with the name they have in this module, or with where they come from. */
function* exportedValues(
  body: readonly Statement[],
): Generator<{ name: string; value: Expression | string | Imported }> {
  for (const statement of body) {
    if (statement.type === "ExportDefaultDeclaration") {
      const { declaration } = statement;
      const isName = declaration.type === "Identifier";
      yield { name: "default", value: isName ? declaration.name : (declaration as Expression) };
    }
    if (statement.type !== "ExportNamedDeclaration" || statement.exportKind === "type") continue;
    const { declaration, specifiers, source } = statement;
    if (declaration?.type === "FunctionDeclaration" && declaration.id) {
      yield { name: declaration.id.name, value: declaration.id.name };
    } else if (declaration?.type === "VariableDeclaration") {
      for (const { id } of declaration.declarations) {
        if (id.type === "Identifier") yield { name: id.name, value: id.name };
      }
    }
    for (const specifier of specifiers) {
      if (specifier.type !== "ExportSpecifier" || specifier.exportKind === "type") continue;
      const name = keyName({ key: specifier.exported });
      const local = keyName({ key: specifier.local });
      if (name === undefined || local === undefined) continue;
      yield { name, value: source ? { specifier: source.value, name: local } : local };
    }
  }
}
