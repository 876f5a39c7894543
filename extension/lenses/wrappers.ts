import type { Locals } from "./locals.ts";
import { keyName, unwrap, type Expression, type FunctionNode, type Of } from "./syntax.ts";

/** Calls that give back a function, as far as the text lets one guess: those that are given one. */

/** Without a node when its parameters are not those of a function in the text. */
export interface Wrapped {
  node?: FunctionNode;
}

/** Calls of these give something else than a function, whatever function they are given. */
const notWrappers = new Set(
  (
    "require map filter find findIndex some every reduce reduceRight flatMap forEach sort toSorted from then catch " +
    "finally setTimeout setInterval setImmediate"
  ).split(" "),
);

/** Functions wrapped in functions are followed this far. */
const maxWrapDepth = 20;

export class Wrappers {
  readonly #locals: Locals;
  /** What names wrap, as far as it was asked; undefined while it is being found out. */
  readonly #functions = new Map<string, Wrapped | undefined>();

  constructor(locals: Locals) {
    this.#locals = locals;
  }

  /** What `memo(fn)` wraps; undefined when it is no call of that kind. */
  wrappedBy(call: Of<Expression, "CallExpression">): Wrapped | undefined {
    return this.#wrapped(call, 0);
  }

  #wrapped({ callee, arguments: given }: Of<Expression, "CallExpression">, depth: number): Wrapped | undefined {
    if (depth > maxWrapDepth || callee.type === "Import") return undefined;
    const isMember = callee.type === "MemberExpression";
    const called = isMember
      ? keyName({ key: callee.property, computed: callee.computed })
      : callee.type === "Identifier"
        ? callee.name
        : undefined;
    if (called !== undefined && notWrappers.has(called)) return undefined;
    if (isMember && called === "bind") return this.#functionIn(callee.object as Expression, depth) && {};
    // `app.get("/path", fn)` and `emitter.on("event", fn)` hand a function in for good.
    if (isMember && given[0]?.type === "StringLiteral") return undefined;
    for (const argument of given) {
      const found = this.#functionIn(argument as Expression, depth);
      if (found) return found;
    }
    return undefined;
  }

  #functionIn(node: Expression | FunctionNode, depth: number): Wrapped | undefined {
    if (node.type === "FunctionDeclaration") return { node };
    const { expression } = unwrap(node as Expression);
    switch (expression.type) {
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        return { node: expression };
      case "CallExpression":
        return this.#wrapped(expression, depth + 1);
      case "Identifier":
        return this.#functionNamed(expression.name, depth);
      default:
        return undefined;
    }
  }

  #functionNamed(name: string, depth: number): Wrapped | undefined {
    if (!this.#functions.has(name)) {
      this.#functions.set(name, undefined);
      const local = this.#locals.follow(name);
      if (local) this.#functions.set(name, this.#functionIn(local.value as Expression, depth + 1));
    }
    return this.#functions.get(name);
  }
}
