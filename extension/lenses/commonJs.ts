import { keyName, unwrap, type Expression, type Of, type Statement } from "./syntax.ts";
import type { Place } from "./locals.ts";
import type { Target, Targets } from "./targets.ts";

/** What a CommonJS module puts on its exports at the top level, by the name it has for those who import it. */

interface Assigned {
  name: string;
  value: Expression;
  place: Place;
}

export function commonJsExports(body: readonly Statement[], targets: Targets): { name: string; target: Target }[] {
  let assigned: Assigned[] = [];
  const known = new Map<string, Assigned>();
  /** `exports` no longer is what `module.exports` is. */
  let detached = false;
  const assign = (each: Assigned): void => {
    // `module.exports = exports.default` takes what was put there before.
    const earlier = known.get(propertyOf(each.value)?.property ?? "");
    const resolved = earlier ? { ...earlier, name: each.name } : each;
    known.set(each.name, resolved);
    assigned.push(resolved);
  };
  for (const statement of body) {
    for (const { to, value, start } of assignmentsOf(statement)) {
      const whole = to.find((target) => wholeOf(target) === "module.exports");
      if (whole) {
        const place = placeOf(whole, "default", start);
        assigned = [];
        for (const each of [{ name: "default", value, place }, ...propertiesOf(value, place)]) assign(each);
        detached = !to.some((target) => wholeOf(target) === "exports");
        continue;
      }
      for (const target of to) {
        const part = propertyOf(target);
        if (!part || (part.owner === "exports" && detached)) continue;
        const { property: name } = part;
        assign({ name, value, place: placeOf(propertyNode(target), name, start) });
      }
    }
  }
  // `exports.a = undefined` first and a function later is usual; the last one counts.
  const last = new Map(assigned.map((each) => [each.name, each]));
  return [...last.values()].flatMap(({ name, value, place }) =>
    targets.of(value, place).map((target) => ({ name, target })),
  );
}

/** `a = b = value` as what it is assigned to, and the value; also as the initialiser of a variable. */
function assignmentsOf(statement: Statement): { to: Expression[]; value: Expression; start: number }[] {
  const expressions: (Expression | null | undefined)[] =
    statement.type === "ExpressionStatement"
      ? statement.expression.type === "SequenceExpression"
        ? statement.expression.expressions
        : [statement.expression]
      : statement.type === "VariableDeclaration"
        ? statement.declarations.map(({ init }) => init)
        : statement.type === "TSExportAssignment"
          ? [statement.expression]
          : [];
  return expressions.flatMap((expression, index) => {
    if (!expression) return [];
    const start = index === 0 ? statement.start! : expression.start!;
    if (statement.type === "TSExportAssignment") {
      return [{ to: [wholeExport(statement)], value: expression, start }];
    }
    const to: Expression[] = [];
    let value = expression;
    while (value.type === "AssignmentExpression" && value.operator === "=") {
      to.push(value.left as Expression);
      value = unwrap(value.right).expression;
    }
    return to.length > 0 ? [{ to, value, start }] : [];
  });
}

/** `export = value` says what `module.exports = value` does; its name is the words `export =`. */
function wholeExport(statement: Of<Statement, "TSExportAssignment">): Expression {
  const start = statement.start!;
  const identifier = (name: string) => ({ type: "Identifier", name });
  const node = {
    type: "MemberExpression",
    computed: false,
    object: identifier("module"),
    property: identifier("exports"),
  };
  return { ...node, start, end: start + "export".length } as unknown as Expression;
}

type Whole = "module.exports" | "exports";

function wholeOf(node: Expression): Whole | undefined {
  if (node.type === "Identifier") return node.name === "exports" ? "exports" : undefined;
  if (node.type !== "MemberExpression" || node.object.type !== "Identifier" || node.object.name !== "module") {
    return undefined;
  }
  return keyName({ key: node.property, computed: node.computed }) === "exports" ? "module.exports" : undefined;
}

/** The `x` of `module.exports.x` and `exports.x`. */
function propertyOf(node: Expression): { owner: Whole; property: string } | undefined {
  if (node.type !== "MemberExpression") return undefined;
  const owner = wholeOf(node.object as Expression);
  const property = keyName({ key: node.property, computed: node.computed });
  return owner && property !== undefined ? { owner, property } : undefined;
}

function propertyNode(target: Expression): { start?: number | null; end?: number | null } {
  return target.type === "MemberExpression" ? target.property : target;
}

function placeOf(node: { start?: number | null; end?: number | null }, name: string, start: number): Place {
  return { start, nameStart: node.start!, nameEnd: node.end!, name, docAt: [start] };
}

/** The functions of `module.exports = { … }`, each with its own place. */
function propertiesOf(value: Expression, whole: Place): Assigned[] {
  const { expression } = unwrap(value);
  if (expression.type !== "ObjectExpression") return [];
  return expression.properties.flatMap((property) => {
    if (property.type === "SpreadElement") return [];
    const name = keyName(property);
    if (name === undefined || (property.type === "ObjectMethod" && property.kind !== "method")) return [];
    const { start, key } = property;
    const docAt = [start!];
    const place = { ...whole, start: start!, nameStart: key.start!, nameEnd: key.end!, name, docAt };
    return [{ name, value: (property.type === "ObjectMethod" ? property : property.value) as Expression, place }];
  });
}
