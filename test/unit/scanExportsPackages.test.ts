import { globSync, readFileSync, statSync } from "node:fs";
import { dirname, extname, join, resolve } from "node:path";
import ts from "typescript-api";
import { describe, expect, it } from "vitest";
import { scanExports, type ScanLanguage } from "../../extension/lenses/scanExports.ts";

/**
 * What the scanner finds in real code, against what TypeScript says is exported and callable. Each difference must have
 * a reason that follows from what the scanner is meant to do, and the reason must show in TypeScript's own tree.
 */

const root = resolve(import.meta.dirname, "../..");

/** Of each the reasons that do occur: one that no longer does is to be taken out. */
const samples: [string, string[], Reason[]][] = [
  ["this repository's runtime, in TypeScript", ["runtime/**/*.ts"], []],
  ["this repository's examples and scripts", ["examples/**/*.ts", "scripts/*.ts"], []],
  ["csv-parse: ES modules, and CommonJS", ["csv-parse/lib/**/*.js", "csv-parse/dist/cjs/*.cjs"], []],
  ["devalue: ES modules with JSDoc", ["devalue/src/*.js"], ["computed"]],
  ["ws: CommonJS with classes, and an ES module", ["ws/lib/*.js", "ws/*.mjs", "ws/index.js"], ["static of the whole"]],
  ["semver: CommonJS", ["semver/{functions,classes,internal,ranges}/*.js", "semver/index.js"], ["computed", "require"]],
  ["debug and ms: older CommonJS", ["debug/src/*.js", "ms/index.js"], ["computed", "replaced"]],
  ["qs: CommonJS in ES5", ["qs/lib/*.js"], ["require"]],
  ["domhandler: compiled to both", ["domhandler/lib/**/*.js"], ["computed", "export *"]],
  [
    "entities: compiled to both",
    ["entities/lib/*.js", "entities/lib/esm/*.js"],
    ["computed", "defineProperty", "two names"],
  ],
  ["smol-toml: compiled ES modules", ["smol-toml/dist/*.js"], []],
  ["valibot: a large .mjs", ["valibot/dist/index.mjs"], ["two names"]],
  ["picomatch: functions with properties", ["picomatch/{*,lib/*}.js"], ["computed", "property of a function"]],
];

type Reason =
  /** The value is an expression that only running it tells, such as a call of `require` or a condition. */
  | "computed"
  /** One lens for one function: it is found under another name. */
  | "two names"
  /** `export *` is not followed. */
  | "export *"
  /** What `require` brings is not followed. */
  | "require"
  /** `Object.defineProperty(exports, …)` is not read. */
  | "defineProperty"
  /** `f.g = …`, where `f` is exported: not read. */
  | "property of a function"
  /** `module.exports` is given something else after `exports.x = …`. */
  | "replaced"
  /** TypeScript has `m` for `module.exports = class { static m() {} }`; it is only reached by `default.m`. */
  | "static of the whole";

const filesOf = (globs: string[]): string[] =>
  globs
    .flatMap((glob) => globSync(glob.includes(".ts") ? glob : `node_modules/${glob}`, { cwd: root }))
    .filter((file) => !file.endsWith(".d.ts"))
    .map((file) => join(root, file))
    .toSorted();

/** Without the typings of packages, so that TypeScript looks at the same code. */
function makeProgram(files: string[]): ts.Program {
  const options: ts.CompilerOptions = {
    allowJs: true,
    noEmit: true,
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.NodeNext,
    allowImportingTsExtensions: true,
    resolveJsonModule: true,
    maxNodeModuleJsDepth: 2,
    strict: true,
    types: ["node"],
  };
  const host = ts.createCompilerHost(options);
  const exists = host.fileExists.bind(host);
  const isTyping = /node_modules\/(?!@types\/|typescript-api\/|undici-types\/).*\.d\.[cm]?ts$/;
  host.fileExists = (file) => !isTyping.test(file) && exists(file);
  return ts.createProgram(files, options, host);
}

const program = makeProgram(samples.flatMap(([, globs]) => filesOf(globs)));
const checker = program.getTypeChecker();

/** What is exported and callable by the path it has from outside, with its declaration. */
function truthOf(file: string): Map<string, ts.Node | undefined> {
  const truth = new Map<string, ts.Node | undefined>();
  const source = program.getSourceFile(file)!;
  const module = checker.getSymbolAtLocation(source);
  if (!module) return truth;
  const add = (path: string, symbol: ts.Symbol): void => {
    const resolved = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    if (!(resolved.flags & ts.SymbolFlags.Value) || resolved.flags & ts.SymbolFlags.Prototype) return;
    const type = checker.getTypeOfSymbolAtLocation(resolved, source);
    const classNode = type.symbol?.valueDeclaration;
    const isClass = classNode && ts.isClassLike(classNode) && type.getConstructSignatures().length > 0;
    if (isClass) for (const member of staticsOf(classNode)) truth.set(`${path}.${member.name!.getText()}`, member);
    else if (type.getCallSignatures().length > 0) {
      truth.set(path, resolved.valueDeclaration ?? resolved.declarations?.[0]);
    }
  };
  const whole = module.exports?.get(ts.InternalSymbolName.ExportEquals);
  if (whole) add("default", whole);
  // Of what `module.exports = { … }` is given only what stands there, not what a class inherits.
  const properties = whole ? checker.getTypeOfSymbolAtLocation(whole, source).getProperties() : [];
  const standing = properties.filter(({ valueDeclaration }) => {
    const holder = valueDeclaration?.parent;
    return holder && ts.isObjectLiteralExpression(holder) && holder.getSourceFile() === source;
  });
  for (const symbol of [...checker.getExportsOfModule(module), ...standing]) add(symbol.name, symbol);
  return truth;
}

function staticsOf(node: ts.ClassLikeDeclaration): ts.ClassElement[] {
  return node.members.filter((member) => {
    const flags = ts.getCombinedModifierFlags(member);
    const isHidden = flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected);
    if (!(flags & ts.ModifierFlags.Static) || isHidden || !member.name || ts.isPrivateIdentifier(member.name))
      return false;
    return checker.getTypeAtLocation(member).getCallSignatures().length > 0;
  });
}

/** The function, class or other expression that a declaration stands for, through names and assignments. */
function valueOf(node: ts.Node | undefined, depth = 0): ts.Node | undefined {
  if (!node || depth > 20) return undefined;
  const through = (next: ts.Node | undefined) => valueOf(next, depth + 1);
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node)) return through(node.expression);
  if (ts.isVariableDeclaration(node) || ts.isPropertyAssignment(node)) return through(node.initializer);
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsToken) return through(node.right);
  if (ts.isPropertyAccessExpression(node) && ts.isBinaryExpression(node.parent) && node.parent.left === node)
    return through(node.parent);
  if (ts.isShorthandPropertyAssignment(node))
    return through(checker.getShorthandAssignmentValueSymbol(node)?.valueDeclaration);
  if (ts.isIdentifier(node)) {
    const symbol = checker.getSymbolAtLocation(node);
    return through(
      symbol && (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol).valueDeclaration,
    );
  }
  return node;
}

const isFunction = (node: ts.Node | undefined): boolean =>
  node !== undefined && (ts.isFunctionLike(node) || ts.isClassLike(node));

function isExportsObject(node: ts.Node): boolean {
  return ["exports", "module.exports"].includes(node.getText());
}

function reasonFor(
  path: string,
  file: string,
  truth: ReadonlyMap<string, ts.Node | undefined>,
  found: ReadonlySet<string>,
): Reason | undefined {
  const source = program.getSourceFile(file)!;
  const declaration = truth.get(path);
  const value = valueOf(declaration);
  if (found.has(`default.${path}`) && value === truth.get(`default.${path}`)) return "static of the whole";
  if ([...truth].some(([other, node]) => other !== path && found.has(other) && valueOf(node) === value))
    return "two names";
  if (declaration && ts.isCallExpression(declaration)) return "defineProperty";
  if (declaration && ts.isPropertyAccessExpression(declaration) && !isExportsObject(declaration.expression))
    return "property of a function";
  const isStar = (statement: ts.Statement) => ts.isExportDeclaration(statement) && !statement.exportClause;
  if (value?.getSourceFile() !== source && source.statements.some(isStar)) return "export *";
  if (value?.getSourceFile() !== source && /\brequire\(/.test(source.text)) return "require";
  if (value && !isFunction(value)) return "computed";
  const replaced = source.statements.some((statement) => {
    const assignment = ts.isExpressionStatement(statement) ? statement.expression : undefined;
    if (!assignment || !ts.isBinaryExpression(assignment) || assignment.left.getText() !== "module.exports")
      return false;
    const whole = valueOf(assignment.right);
    return !isFunction(whole) && !(whole && ts.isObjectLiteralExpression(whole));
  });
  return replaced ? "replaced" : undefined;
}

const languages: Record<string, ScanLanguage> = { ".ts": "typescript", ".tsx": "typescriptreact" };

function scanFile(file: string) {
  const readModule = (specifier: string): string | undefined => {
    const path = join(dirname(file), specifier);
    const isFile = specifier.startsWith(".") && statSync(path, { throwIfNoEntry: false })?.isFile();
    return isFile ? readFileSync(path, "utf8") : undefined;
  };
  return scanExports(readFileSync(file, "utf8"), languages[extname(file)] ?? "javascript", {
    fileName: file,
    readModule,
  });
}

describe("what TypeScript says is callable is what the scanner finds", () => {
  it.each(samples)("in %s", (_, globs, expectedReasons) => {
    const files = filesOf(globs);
    const unexplained: string[] = [];
    const reasons = new Set<Reason>();
    let agreed = 0;
    for (const file of files) {
      const truth = truthOf(file);
      const { functions, parsed, errors } = scanFile(file);
      const found = new Set(functions.map(({ exportPath }) => exportPath));
      const name = file.slice(root.length + 1);
      if (!parsed || errors > 0) unexplained.push(`${name}: ${errors} errors`);
      for (const path of truth.keys()) {
        const reason = found.has(path) ? undefined : reasonFor(path, file, truth, found);
        if (found.has(path)) agreed++;
        else if (reason) reasons.add(reason);
        else unexplained.push(`${name}: ${path} is not found`);
      }
      for (const { exportPath, kind } of functions) {
        if (!truth.has(exportPath) && kind !== "unknown") unexplained.push(`${name}: ${exportPath} is not exported`);
      }
    }
    expect(unexplained).toEqual([]);
    expect([...reasons].toSorted()).toEqual(expectedReasons.toSorted());
    expect(agreed).toBeGreaterThan(0);
  });
});
