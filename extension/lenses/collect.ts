import { commonJsExports } from "./commonJs.ts";
import { Locals, type Imported, type Place } from "./locals.ts";
import type { ReExports } from "./reExports.ts";
import { keyName, type Of, type Parsed, type Statement } from "./syntax.ts";
import { Targets, type Target } from "./targets.ts";

/** What the statements of a module export, each function once with all its names. */

export interface Found extends Omit<Target, "identity"> {
  /** In the order of the text, without the suffix. */
  names: string[];
  reExport?: string;
}

export function collectExports(text: string, { body, comments }: Parsed, reExports: ReExports): Found[] {
  const locals = new Locals(body);
  const collector = new Collector(locals, new Targets(text, comments, locals), reExports);
  let isEcmaScript = false;
  for (const statement of body) {
    if (statement.type === "ExportNamedDeclaration") {
      if (statement.exportKind !== "type") collector.addNamed(statement);
    } else if (statement.type === "ExportDefaultDeclaration") {
      collector.addDefault(statement, text.indexOf("default", statement.start!));
    } else if (statement.type !== "ExportAllDeclaration") continue;
    isEcmaScript = true;
  }
  if (!isEcmaScript) collector.addCommonJs(body);
  return collector.found();
}

class Collector {
  readonly #locals: Locals;
  readonly #targets: Targets;
  readonly #reExports: ReExports;
  readonly #found = new Map<unknown, Found>();

  constructor(locals: Locals, targets: Targets, reExports: ReExports) {
    this.#locals = locals;
    this.#targets = targets;
    this.#reExports = reExports;
  }

  found(): Found[] {
    return [...this.#found.values()];
  }

  addNamed({ declaration, specifiers, source, start }: Of<Statement, "ExportNamedDeclaration">): void {
    if (declaration?.type === "FunctionDeclaration" || declaration?.type === "ClassDeclaration") {
      if (declaration.id) this.#add(declaration.id.name, this.#targets.named(declaration.id.name));
    } else if (declaration?.type === "VariableDeclaration") {
      for (const { id } of declaration.declarations) {
        if (id.type === "Identifier") this.#addLocal(id.name, id.name);
      }
    }
    for (const specifier of specifiers) {
      if (specifier.type !== "ExportSpecifier" || specifier.exportKind === "type") continue;
      const { exported } = specifier;
      const name = keyName({ key: exported })!;
      const local = keyName({ key: specifier.local })!;
      const place = { start: start!, nameStart: exported.start!, nameEnd: exported.end!, name, docAt: [] };
      const imported = source ? { specifier: source.value, name: local } : this.#locals.imported(local);
      if (imported) this.#addImported(name, imported, place);
      else this.#addLocal(name, local);
    }
  }

  addDefault({ declaration, start }: Of<Statement, "ExportDefaultDeclaration">, nameStart: number): void {
    const place = { start: start!, nameStart, nameEnd: nameStart + "default".length, name: "default", docAt: [start!] };
    switch (declaration.type) {
      case "TSDeclareFunction":
      case "TSInterfaceDeclaration":
      case "EnumDeclaration":
      case "StructDeclaration":
        return;
      case "FunctionDeclaration":
      case "ClassDeclaration":
        if (declaration.id) this.#addLocal("default", declaration.id.name);
        else this.#add("default", this.#targets.of(declaration, place));
        return;
      default: {
        const imported = declaration.type === "Identifier" ? this.#locals.imported(declaration.name) : undefined;
        if (imported) this.#addImported("default", imported, place);
        else this.#add("default", this.#targets.of(declaration, place));
      }
    }
  }

  addCommonJs(body: readonly Statement[]): void {
    for (const { name, target } of commonJsExports(body, this.#targets)) this.#add(name, [target]);
  }

  #addLocal(name: string, local: string): void {
    this.#add(name, this.#targets.named(local));
  }

  #add(name: string, targets: readonly Target[]): void {
    for (const { identity, ...target } of targets) this.#addOne(identity, name, target);
  }

  #addImported(name: string, imported: Imported, place: Place): void {
    const { specifier } = imported;
    for (const { suffix, kind, describe } of this.#reExports.of(imported)) {
      const own = { ...place, name: place.name + suffix };
      const found = { suffix, place: own, kind, describe, reExport: specifier };
      this.#addOne(JSON.stringify([specifier, imported.name, suffix]), name, found);
    }
  }

  #addOne(identity: unknown, name: string, found: Omit<Found, "names">): void {
    const known = this.#found.get(identity);
    if (known) known.names.push(name);
    else this.#found.set(identity, { ...found, names: [name] });
  }
}
