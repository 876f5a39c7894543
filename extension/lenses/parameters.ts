import { parseField, refused, type ChoiceValue, type Field, type FieldError } from "./fields.ts";
import type { Param } from "./signature.ts";
import { isUnsayable, shapeOf, type Shape } from "./typeShape.ts";

/** What a form asks for each parameter of a function, and the arguments that come of it. */

export { choiceText, parseField, type Field, type FieldError } from "./fields.ts";

type FieldInput = Pick<Param, "type" | "optional" | "rest" | "default">;

/** By the type in the text; without one by the default value. What no simple field can say is JSON. */
export function fieldOf(param: FieldInput): Field {
  if (param.rest) return { kind: "json", placeholder: "[]", array: true, optional: true };
  const shape = shapeOfParam(param);
  const members = shape.is === "union" ? shape.of : [shape];
  const defined = members.filter(({ is }) => is !== "undefined");
  const optional = param.optional || defined.length < members.length;
  if (defined.length > 0 && defined.every(isUnsayable)) {
    // An example would have to be wrong where the whole value cannot be said.
    const placeholder = defined.every(({ is }) => is === "unsayable") ? "" : exampleOf(param);
    return { kind: "json", placeholder, unsayable: true, optional };
  }
  return { ...fieldOfShapes(defined, exampleOf(param)), optional };
}

type KindOfField = Field extends infer F ? (F extends unknown ? Omit<F, "optional"> : never) : never;

function fieldOfShapes(members: readonly Shape[], placeholder: string): KindOfField {
  if (members.length > 0 && members.every(({ is }) => is === "boolean")) return { kind: "checkbox" };
  const values = members.flatMap(choicesOf);
  if (members.length > 0 && members.every((member) => choicesOf(member).length > 0)) {
    const distinct = [...new Set(values)];
    // Both literals of a boolean are what the word says.
    if (distinct.length === 2 && distinct.every((value) => typeof value === "boolean")) return { kind: "checkbox" };
    return { kind: "choice", values: distinct };
  }
  // `"a" | "b" | string` takes any text.
  const takesText = members.some(({ is }) => is === "string") && members.every(isText);
  if (takesText) return { kind: "text" };
  if (members.some(({ is }) => is === "number" || is === "integer") && members.every(isNumber)) {
    return members.every(({ is }) => is === "integer") ? { kind: "number", integer: true } : { kind: "number" };
  }
  const isArray = members.length > 0 && members.every(({ is }) => is === "array" || is === "tuple");
  return isArray ? { kind: "json", placeholder, array: true } : { kind: "json", placeholder };
}

function isText(shape: Shape): boolean {
  return shape.is === "string" || (shape.is === "literal" && typeof shape.value === "string");
}

function isNumber(shape: Shape): boolean {
  return shape.is === "number" || shape.is === "integer" || (shape.is === "literal" && typeof shape.value === "number");
}

function choicesOf(shape: Shape): ChoiceValue[] {
  if (shape.is === "literal") return [shape.value];
  return shape.is === "boolean" ? [true, false] : [];
}

function shapeOfParam({ type, default: fallback }: FieldInput): Shape {
  if (type !== undefined) return shapeOf(type);
  if (fallback === undefined) return { is: "unknown" };
  // As TypeScript does: the default 5 makes a number of it, not a 5.
  const literal = shapeOf(fallback);
  if (literal.is !== "literal" || literal.value === null) return literal.is === "string" ? literal : { is: "unknown" };
  return { is: typeof literal.value as "string" | "number" | "boolean" };
}

/** JSON that shows how a value may look, such as `["…"]` or `{"a": 0}`; `null` when the type does not tell. */
export function exampleOf(param: FieldInput): string {
  if (param.type === undefined && param.default !== undefined && isJson(param.default)) return param.default;
  return exampleOfShape(shapeOfParam(param));
}

function exampleOfShape(shape: Shape): string {
  switch (shape.is) {
    case "string":
      return '"…"';
    case "number":
    case "integer":
      return "0";
    case "boolean":
      return "false";
    case "literal":
      return JSON.stringify(shape.value);
    case "array":
      return `[${exampleOfShape(shape.of)}]`;
    case "tuple":
      return `[${shape.of.map(exampleOfShape).join(", ")}]`;
    case "object": {
      const entries = [...shape.of].map(([key, value]) => `${JSON.stringify(key)}: ${exampleOfShape(value)}`);
      return `{${entries.join(", ")}}`;
    }
    case "union": {
      const first = shape.of.find(({ is }) => is !== "undefined" && is !== "unknown");
      return first ? exampleOfShape(first) : "null";
    }
    default:
      return "null";
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export type CheckedArguments = { ok: true; args: unknown[] } | { ok: false; errors: Record<number, FieldError> };

/**
 * The arguments that the texts of the fields stand for, or what is wrong with which. Undefined ones at the end are
 * left out; a rest parameter's array becomes arguments of its own. A text that is missing was not given.
 */
export function checkArguments(
  params: readonly FieldInput[],
  texts: readonly (string | undefined)[],
): CheckedArguments {
  const args: unknown[] = [];
  const errors: Record<number, FieldError> = {};
  for (const [index, param] of params.entries()) {
    const field = fieldOf(param);
    const text = texts[index];
    const parsed =
      text !== undefined
        ? parseField(field, text)
        : field.optional
          ? { ok: true as const, value: undefined }
          : refused("required", "");
    if (!parsed.ok) errors[index] = { message: parsed.message, detail: parsed.detail };
    else if (param.rest) args.push(...((parsed.value as unknown[] | undefined) ?? []));
    else args.push(parsed.value);
  }
  if (Object.keys(errors).length > 0) return { ok: false, errors };
  while (args.length > 0 && args.at(-1) === undefined) args.pop();
  return { ok: true, args };
}
