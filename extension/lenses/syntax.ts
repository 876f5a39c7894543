import { parse, type Expression, type File, type ParserOptions, type ParserPlugin } from "@babel/parser";

/** Parsing a module leniently, and names for the nodes the lenses look at. */

export type ScanLanguage = "typescript" | "typescriptreact" | "javascript" | "javascriptreact";

export type Statement = File["program"]["body"][number];
export type Of<U, T extends string> = Extract<U, { type: T }>;
export type { Expression };

export type ClassNode = Of<Statement, "ClassDeclaration"> | Of<Expression, "ClassExpression">;
export type ClassMember = ClassNode["body"]["body"][number];
type ObjectNode = Of<Expression, "ObjectExpression">;
export type FunctionNode =
  | Of<Statement, "FunctionDeclaration">
  | Of<Expression, "FunctionExpression" | "ArrowFunctionExpression">
  | Of<ClassMember, "ClassMethod">
  | Of<ObjectNode["properties"][number], "ObjectMethod">;
export type ParameterNode = FunctionNode["params"][number];
export type TypeNode = Of<NonNullable<FunctionNode["returnType"]>, "TSTypeAnnotation">["typeAnnotation"];
export type FunctionTypeNode = Of<TypeNode, "TSFunctionType">;
export type Comment = NonNullable<File["comments"]>[number];

export interface Parsed {
  body: Statement[];
  comments: Comment[];
  /** Errors after which the parser could go on. */
  errors: number;
}

const languagePlugins: Record<ScanLanguage, ParserPlugin[]> = {
  // Without JSX, or a cast `<T>value` would be taken for an element.
  typescript: ["typescript"],
  typescriptreact: ["typescript", "jsx"],
  javascript: ["jsx"],
  javascriptreact: ["jsx"],
};

const proposalPlugins: ParserPlugin[] = [
  "decorators",
  "decoratorAutoAccessors",
  "deferredImportEvaluation",
  "sourcePhaseImports",
];

/** TypeScript's older decorators stand on parameters too. */
const harmless = new Set(["UnsupportedParameterDecorator"]);

/** Undefined when there is a syntax error that the parser cannot get over. */
export function parseModule(text: string, language: ScanLanguage, fileName = ""): Parsed | undefined {
  let best: Parsed | undefined;
  for (const sourceType of sourceTypes(text, fileName)) {
    const parsed = tryParse(text, {
      sourceType,
      plugins: [...languagePlugins[language], ...proposalPlugins],
      errorRecovery: true,
      attachComment: false,
      allowUndeclaredExports: true,
      allowReturnOutsideFunction: true,
    });
    if (parsed && (!best || parsed.errors < best.errors)) best = parsed;
    if (best?.errors === 0 || (sourceType === "module" && best?.body.some(isModuleSyntax))) break;
  }
  return best;
}

const statementStart =
  /^(?:export|import|async|function|class|abstract|const|let|var|type|interface|enum|declare|namespace|module\.|exports\.|@|\/\*\*)/gm;
const maxCuts = 4;

/**
 * The statements before a syntax error that the parser cannot get over: somebody is typing there, and what stands
 * above it is whole. Undefined when there are none.
 */
export function parseBeforeError(text: string, language: ScanLanguage, fileName = ""): Parsed | undefined {
  const errorAt = firstErrorIn(text, language);
  if (errorAt === undefined) return undefined;
  const starts = [...text.slice(0, errorAt).matchAll(statementStart)].map(({ index }) => index);
  for (const cut of starts.slice(-maxCuts).reverse()) {
    const parsed = cut > 0 ? parseModule(text.slice(0, cut), language, fileName) : undefined;
    if (parsed) return { ...parsed, errors: parsed.errors + 1 };
  }
  return undefined;
}

function firstErrorIn(text: string, language: ScanLanguage): number | undefined {
  try {
    parse(text, {
      sourceType: "unambiguous",
      plugins: [...languagePlugins[language], ...proposalPlugins],
      errorRecovery: true,
    });
    return undefined;
  } catch (error) {
    const { pos } = error as { pos?: unknown };
    return typeof pos === "number" ? pos : undefined;
  }
}

/** What it may be, the likely one first: strict rules make errors of what a script may do, and the other way round. */
function sourceTypes(text: string, fileName: string): ("module" | "script")[] {
  if (/\.m[jt]s$/.test(fileName)) return ["module"];
  const isModule = /^[ \t]*(?:export|import)\b/m.test(text);
  return isModule && !fileName.endsWith(".cjs") ? ["module", "script"] : ["script", "module"];
}

/** A script has none of these. */
function isModuleSyntax({ type }: Statement): boolean {
  return type === "ImportDeclaration" || type.startsWith("Export");
}

function tryParse(text: string, options: ParserOptions): Parsed | undefined {
  try {
    const { program, comments, errors } = parse(text, options);
    return {
      body: program.body,
      comments: comments ?? [],
      errors: errors.filter(({ reasonCode }) => !harmless.has(reasonCode)).length,
    };
  } catch {
    return undefined;
  }
}

/** A type on its own, such as `string[]`; undefined when it is none. */
export function parseType(type: string): TypeNode | undefined {
  const parsed = tryParse(`type T = ${type}\n;`, { plugins: ["typescript"], attachComment: false });
  const [statement, ...rest] = parsed?.body ?? [];
  if (statement?.type !== "TSTypeAliasDeclaration" || rest.some(({ type }) => type !== "EmptyStatement")) {
    return undefined;
  }
  return statement.typeAnnotation;
}

/** The expression without parentheses, casts and the like; `declared` is the type a cast or `satisfies` gives it. */
export function unwrap(expression: Expression): { expression: Expression; declared: TypeNode | undefined } {
  let declared: TypeNode | undefined;
  let inner = expression;
  for (;;) {
    switch (inner.type) {
      case "TSAsExpression":
      case "TSSatisfiesExpression":
      case "TSTypeAssertion":
        declared ??= inner.typeAnnotation;
        inner = inner.expression;
        break;
      case "TSNonNullExpression":
      case "TSInstantiationExpression":
      case "ParenthesizedExpression":
        inner = inner.expression;
        break;
      default:
        return { expression: inner, declared };
    }
  }
}

/** The name of a property or class member; undefined when only running the code tells. */
export function keyName(member: { computed?: boolean | null; key: { type: string } }): string | undefined {
  const key = member.key as Expression;
  if (key.type === "StringLiteral") return key.value;
  if (member.computed) return undefined;
  if (key.type === "Identifier") return key.name;
  return key.type === "NumericLiteral" ? String(key.value) : undefined;
}
