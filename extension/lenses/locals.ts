import {
  keyName,
  unwrap,
  type ClassNode,
  type Expression,
  type FunctionNode,
  type Of,
  type Statement,
  type TypeNode,
} from "./syntax.ts";

/** The names at the top level of a module: what is declared there, and what is imported. */

/** Where a function stands in the text, as offsets. */
export interface Place {
  start: number;
  nameStart: number;
  nameEnd: number;
  name: string;
  /** JSDoc is looked for just before these, in turn. */
  docAt: number[];
}

export interface Local {
  place: Place;
  value: FunctionNode | ClassNode | Expression;
  declared?: TypeNode | undefined;
}

export interface Imported {
  specifier: string;
  /** Its name in the other module. */
  name: string;
}

export class Locals {
  readonly #locals = new Map<string, Local>();
  readonly #imports = new Map<string, Imported>();
  /** Where overload signatures of a function begin: JSDoc often stands on the first. */
  readonly #overloads = new Map<string, number>();

  constructor(body: readonly Statement[]) {
    for (const statement of body) this.#declare(statement);
  }

  imported(name: string): Imported | undefined {
    return this.#imports.get(name);
  }

  #declare(statement: Statement): void {
    const start = statement.start!;
    switch (statement.type) {
      case "ImportDeclaration":
        this.#declareImports(statement);
        return;
      case "ExportNamedDeclaration":
      case "ExportDefaultDeclaration": {
        const { declaration } = statement;
        if (declaration) this.#declareIn(declaration, start);
        return;
      }
      default:
        this.#declareIn(statement, start);
    }
  }

  #declareIn(node: Statement | Expression, start: number): void {
    if ((node.type === "TSDeclareFunction" || node.type === "FunctionDeclaration") && node.id) {
      const { name } = node.id;
      if (node.type === "FunctionDeclaration")
        this.#locals.set(name, { place: this.#placeOf(node, start), value: node });
      else if (!this.#overloads.has(name)) this.#overloads.set(name, start);
    } else if (node.type === "ClassDeclaration" && node.id && !node.declare) {
      this.#locals.set(node.id.name, { place: this.#placeOf(node, start), value: node });
    } else if (node.type === "VariableDeclaration" && !node.declare) {
      for (const [index, { id, init, start: ownStart }] of node.declarations.entries()) {
        if (id.type !== "Identifier" || !init) continue;
        const annotation = id.typeAnnotation;
        const place = {
          start: index === 0 ? start : ownStart!,
          nameStart: id.start!,
          nameEnd: id.start! + id.name.length,
          name: id.name,
          docAt: index === 0 ? [id.start!, start] : [id.start!],
        };
        this.#locals.set(id.name, {
          place,
          value: init,
          declared: annotation?.type === "TSTypeAnnotation" ? annotation.typeAnnotation : undefined,
        });
      }
    }
  }

  #declareImports({ importKind, specifiers, source }: Of<Statement, "ImportDeclaration">): void {
    if (importKind === "type" || importKind === "typeof") return;
    for (const each of specifiers) {
      if (each.type === "ImportNamespaceSpecifier") continue;
      if (each.type === "ImportSpecifier" && each.importKind === "type") continue;
      const name = each.type === "ImportDefaultSpecifier" ? "default" : keyName({ key: each.imported })!;
      this.#imports.set(each.local.name, { specifier: source.value, name });
    }
  }

  #placeOf(node: Of<Statement, "FunctionDeclaration" | "ClassDeclaration">, start: number): Place {
    const { id } = node;
    const name = id?.name ?? "default";
    const nameStart = id?.start ?? start;
    const docAt = [start];
    const overload = id && this.#overloads.get(id.name);
    if (overload != null) docAt.push(overload);
    return { start, nameStart, nameEnd: nameStart + name.length, name, docAt };
  }

  /** The declaration behind `name`, through `const b = a`. */
  follow(name: string): Local | undefined {
    const seen = new Set([name]);
    let local = this.#locals.get(name);
    while (local) {
      const { expression } = unwrap(local.value as Expression);
      if (expression.type !== "Identifier") return local;
      const next = seen.has(expression.name) ? undefined : this.#locals.get(expression.name);
      if (!next) return local;
      seen.add(expression.name);
      local = next;
    }
    return undefined;
  }
}
