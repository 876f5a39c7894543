import { docBefore, type Doc } from "./jsdoc.ts";
import type { Locals, Place } from "./locals.ts";
import { signatureOf, type Signature } from "./signature.ts";
import {
  keyName,
  unwrap,
  type ClassMember,
  type ClassNode,
  type Comment,
  type Expression,
  type FunctionNode,
  type FunctionTypeNode,
  type Of,
  type TypeNode,
} from "./syntax.ts";
import { Wrappers, type Wrapped } from "./wrappers.ts";

/** From an expression or a local name to the functions it stands for. */

export type FunctionKind = "function" | "async" | "generator" | "async-generator" | "unknown";

/** A function that something exported stands for. */
export interface Target {
  /** The same whichever name it is reached by. */
  identity: unknown;
  /** `.method` for a static method of what is exported. */
  suffix: string;
  place: Place;
  kind: FunctionKind;
  describe: () => Signature & { doc?: string };
}

type StaticMember = Extract<ClassMember, { type: "ClassMethod" | "ClassProperty" }>;

export class Targets {
  readonly #text: string;
  readonly #comments: readonly Comment[];
  readonly #locals: Locals;
  readonly #wrappers: Wrappers;

  constructor(text: string, comments: readonly Comment[], locals: Locals) {
    this.#text = text;
    this.#comments = comments;
    this.#locals = locals;
    this.#wrappers = new Wrappers(locals);
  }

  /** What `name` stands for at the top level of this module, and where that stands. */
  named(name: string): Target[] {
    const local = this.#locals.follow(name);
    return local ? this.of(local.value, local.place, local.declared) : [];
  }

  /** The functions that the value of `node` holds; without `classes` no static methods. A name leads to where it is declared. */
  of(node: FunctionNode | ClassNode | Expression, place: Place, declaredType?: TypeNode, classes = true): Target[] {
    switch (node.type) {
      case "FunctionDeclaration":
      case "ClassMethod":
      case "ObjectMethod":
        return [this.#target(node, place)];
      case "ClassDeclaration":
      case "ClassExpression":
        return classes ? this.#statics(node, place) : [];
      default:
    }
    const { expression, declared } = unwrap(node);
    const type = functionType(declaredType) ?? functionType(declared);
    const typed = type ? [this.#unknown(node, place, type)] : [];
    switch (expression.type) {
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        return [this.#target(expression, namedAfter(expression, place), type)];
      case "ClassExpression":
        return classes ? this.#statics(expression, namedAfter(expression, place)) : [];
      case "Identifier": {
        const local = this.#locals.follow(expression.name);
        const { expression: value } = local ? unwrap(local.value as Expression) : { expression };
        // A name that leads nowhere, or in a circle.
        if (!local || value.type === "Identifier") return this.#locals.imported(expression.name) ? [] : typed;
        return this.of(local.value, local.place, local.declared, classes);
      }
      case "AssignmentExpression":
        return expression.operator === "=" ? this.of(expression.right, place, declaredType, classes) : [];
      case "CallExpression": {
        if (typed.length > 0 || (declaredType && isPlainData(declaredType))) return typed;
        const wrapped = this.#wrappers.wrappedBy(expression);
        return wrapped ? [this.#unknown(node, place, undefined, wrapped)] : [];
      }
      case "ObjectExpression":
        return [];
      default:
        return typed;
    }
  }

  #statics(node: ClassNode, place: Place): Target[] {
    const found = new Map<string, Target>();
    const overloads = new Map<string, number>();
    for (const member of node.body.body) {
      if (!isPublicStatic(member)) continue;
      const key = keyName(member);
      if (key === undefined) continue;
      if (member.type === "TSDeclareMethod") {
        if (!overloads.has(key)) overloads.set(key, member.start!);
        continue;
      }
      const own = this.#memberPlace(member, key, place.name, overloads.get(key));
      const [target] = this.#memberTargets(member, own);
      if (!target) found.delete(key);
      // A static property may hold a function that is declared elsewhere, but is reached through its class.
      else found.set(key, { ...target, identity: member, place: own, suffix: `.${key}` });
    }
    return [...found.values()];
  }

  #memberTargets(member: StaticMember, place: Place): Target[] {
    if (member.type === "ClassMethod") return member.kind === "method" ? this.of(member, place) : [];
    if (member.declare || !member.value) return [];
    const annotation = member.typeAnnotation;
    return this.of(
      member.value,
      place,
      annotation?.type === "TSTypeAnnotation" ? annotation.typeAnnotation : undefined,
      false,
    );
  }

  #memberPlace(member: StaticMember, key: string, owner: string, overload: number | undefined): Place {
    const decorated = member.decorators?.at(-1)?.end;
    const start = decorated == null || decorated <= member.start! ? member.start! : this.#nextCode(decorated);
    const docAt = [...new Set([start, member.start!, ...(overload === undefined ? [] : [overload])])];
    return { start, nameStart: member.key.start!, nameEnd: member.key.end!, name: `${owner}.${key}`, docAt };
  }

  /** Where code goes on after `offset`, past white space and comments. */
  #nextCode(offset: number): number {
    let at = offset;
    for (;;) {
      while (/\s/.test(this.#text[at] ?? "")) at++;
      const comment = this.#text[at] === "/" ? this.#comments.find(({ start }) => start === at) : undefined;
      if (!comment) return at;
      at = comment.end!;
    }
  }

  #target(node: FunctionNode, place: Place, declared?: FunctionTypeNode): Target {
    const describe = () => this.#describe(place, (doc) => signatureOf(this.#text, node, declared, doc));
    return { identity: node, suffix: "", place, kind: kindOf(node), describe };
  }

  /** A value that may be a function: what it takes is what `declared` says, or else what the function it wraps takes. */
  #unknown(identity: unknown, place: Place, declared: FunctionTypeNode | undefined, wrapped?: Wrapped): Target {
    const describe = () =>
      this.#describe(place, (doc) => {
        if (declared) return signatureOf(this.#text, undefined, declared, doc);
        const params = wrapped?.node && signatureOf(this.#text, wrapped.node, undefined, doc).params;
        return { params: params ?? [{ name: "args", optional: true, rest: true }], takesFunction: false };
      });
    return { identity, suffix: "", place, kind: "unknown", describe };
  }

  #describe(place: Place, signature: (doc: Doc | undefined) => Signature): Signature & { doc?: string } {
    const doc = this.#docOf(place);
    return { ...signature(doc), ...(doc?.description === undefined ? {} : { doc: doc.description }) };
  }

  #docOf(place: Place): Doc | undefined {
    for (const offset of place.docAt) {
      const doc = docBefore(this.#text, this.#comments, offset);
      if (doc) return doc;
    }
    return undefined;
  }
}

function functionType(type: TypeNode | undefined): FunctionTypeNode | undefined {
  if (type?.type === "TSParenthesizedType") return functionType(type.typeAnnotation);
  return type?.type === "TSFunctionType" ? type : undefined;
}

/** A type that says in the text that there is no function. */
function isPlainData(type: TypeNode): boolean {
  return /^TS(?:String|Number|Boolean|BigInt|Symbol|Object|Undefined|Null|Void)Keyword$|^TS(?:Array|Tuple|Literal|TemplateLiteral)Type$/.test(
    type.type,
  );
}

/** `default` has no better name than that of the function or class itself. */
function namedAfter(node: ClassNode | FunctionNode, place: Place): Place {
  const id = "id" in node ? node.id : undefined;
  if (!id || place.name !== "default") return place;
  return { ...place, name: id.name, nameStart: id.start!, nameEnd: id.end! };
}

function isPublicStatic(member: ClassMember): member is StaticMember | Of<ClassMember, "TSDeclareMethod"> {
  if (member.type !== "ClassMethod" && member.type !== "ClassProperty" && member.type !== "TSDeclareMethod")
    return false;
  const { static: isStatic, accessibility, abstract } = member;
  return isStatic && !abstract && accessibility !== "private" && accessibility !== "protected";
}

function kindOf({ async, generator }: FunctionNode): FunctionKind {
  return async ? (generator ? "async-generator" : "async") : generator ? "generator" : "function";
}
