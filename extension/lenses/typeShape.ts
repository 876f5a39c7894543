import { keyName, parseType, unwrap, type Of, type TypeNode } from "./syntax.ts";

/** The text of a type, read as far as a form can use it. */

export type Shape =
  /** `unsayable` is what JSON has no way to say, such as a function, a bigint or a Map. */
  | { is: "string" | "number" | "integer" | "boolean" | "undefined" | "unknown" | "unsayable" }
  | { is: "literal"; value: string | number | boolean | null }
  | { is: "array"; of: Shape }
  | { is: "tuple"; of: Shape[] }
  | { is: "object"; of: Map<string, Shape> }
  | { is: "union"; of: Shape[] };

const unknown: Shape = { is: "unknown" };
const unsayable: Shape = { is: "unsayable" };
const maxDepth = 20;

/** Never throws; what is not understood is `unknown`. */
export function shapeOf(type: string): Shape {
  const node = type.length > 10_000 ? undefined : parseType(type);
  return node ? read(node, 0) : unknown;
}

/** JSDoc has its own words for some types. */
const named: Record<string, Shape> = {
  String: { is: "string" },
  Number: { is: "number" },
  Boolean: { is: "boolean" },
  bool: { is: "boolean" },
  integer: { is: "integer" },
  int: { is: "integer" },
};
const transparent = new Set(["Readonly", "Partial", "Required", "NonNullable", "Awaited"]);
const arrays = new Set(["Array", "ReadonlyArray", "Iterable"]);
const unsayables = new Set(
  (
    "Map Set WeakMap WeakSet ReadonlyMap ReadonlySet Date RegExp Promise Function Symbol BigInt URL Error Blob File " +
    "ArrayBuffer SharedArrayBuffer DataView Buffer Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array " +
    "Int32Array Uint32Array Float32Array Float64Array BigInt64Array BigUint64Array AbortSignal ReadableStream " +
    "AsyncIterable AsyncGenerator Generator"
  ).split(" "),
);

function read(node: TypeNode, depth: number): Shape {
  if (depth > maxDepth) return unknown;
  const inner = (each: TypeNode): Shape => read(each, depth + 1);
  switch (node.type) {
    case "TSStringKeyword":
    case "TSTemplateLiteralType":
      return { is: "string" };
    case "TSNumberKeyword":
      return { is: "number" };
    case "TSBooleanKeyword":
      return { is: "boolean" };
    case "TSUndefinedKeyword":
    case "TSVoidKeyword":
      return { is: "undefined" };
    case "TSFunctionType":
    case "TSConstructorType":
    case "TSBigIntKeyword":
    case "TSSymbolKeyword":
      return unsayable;
    case "TSNullKeyword":
      return { is: "literal", value: null };
    case "TSLiteralType":
      return readLiteral(node);
    case "TSParenthesizedType":
      return inner(node.typeAnnotation);
    case "TSTypeOperator":
      return node.operator === "readonly" ? inner(node.typeAnnotation) : unknown;
    case "TSArrayType":
      return { is: "array", of: inner(node.elementType) };
    case "TSTupleType":
      return readTuple(node, inner);
    case "TSUnionType":
      return { is: "union", of: node.types.map(inner).flatMap((each) => (each.is === "union" ? each.of : [each])) };
    case "TSIntersectionType":
      return readIntersection(node.types.map(inner));
    case "TSTypeLiteral":
      return readObject(node, inner);
    case "TSTypeReference":
      return readReference(node, inner);
    default:
      return unknown;
  }
}

type Inner = (node: TypeNode) => Shape;

function readLiteral({ literal }: Of<TypeNode, "TSLiteralType">): Shape {
  switch (literal.type) {
    case "StringLiteral":
    case "NumericLiteral":
    case "BooleanLiteral":
      return { is: "literal", value: literal.value };
    case "TemplateLiteral":
      return { is: "string" };
    case "UnaryExpression": {
      const { expression } = unwrap(literal.argument);
      const isNumber = literal.operator === "-" && expression.type === "NumericLiteral";
      return isNumber ? { is: "literal", value: -expression.value } : unknown;
    }
    default:
      return unknown;
  }
}

function readTuple({ elementTypes }: Of<TypeNode, "TSTupleType">, inner: Inner): Shape {
  const of: Shape[] = [];
  for (const element of elementTypes) {
    const type = element.type === "TSNamedTupleMember" ? element.elementType : element;
    if (type.type === "TSRestType") break;
    of.push(inner(type.type === "TSOptionalType" ? type.typeAnnotation : type));
  }
  return { is: "tuple", of };
}

function readIntersection(parts: Shape[]): Shape {
  // `string & {}` is a string that an editor still completes.
  const primitive = parts.find(({ is }) => is === "string" || is === "number" || is === "boolean" || is === "literal");
  if (primitive) return primitive;
  const objects = parts.flatMap((part) => (part.is === "object" ? [...part.of] : []));
  return objects.length > 0 ? { is: "object", of: new Map(objects) } : unknown;
}

function readObject({ members }: Of<TypeNode, "TSTypeLiteral">, inner: Inner): Shape {
  const of = new Map<string, Shape>();
  for (const member of members) {
    if (member.type === "TSIndexSignature") of.set("key", annotated(member.typeAnnotation, inner));
    if (member.type !== "TSPropertySignature") continue;
    const key = keyName(member);
    if (key !== undefined) of.set(key, annotated(member.typeAnnotation, inner));
  }
  return { is: "object", of };
}

function annotated(annotation: { type: string } | null | undefined, inner: Inner): Shape {
  return annotation?.type === "TSTypeAnnotation"
    ? inner((annotation as unknown as { typeAnnotation: TypeNode }).typeAnnotation)
    : unknown;
}

function readReference({ typeName, typeArguments }: Of<TypeNode, "TSTypeReference">, inner: Inner): Shape {
  if (typeName.type !== "Identifier") return unknown;
  const { name } = typeName;
  const [first, second] = typeArguments?.params ?? [];
  if (arrays.has(name)) return { is: "array", of: first ? inner(first) : unknown };
  if (first && transparent.has(name)) return inner(first);
  if (name === "Record" && first && second) return readRecord(inner(first), inner(second));
  if (unsayables.has(name)) return unsayable;
  return Object.hasOwn(named, name) ? named[name]! : unknown;
}

/** Whether no value of the shape can be written as JSON: it is, or must hold, what JSON cannot say. */
export function isUnsayable(shape: Shape): boolean {
  switch (shape.is) {
    case "unsayable":
      return true;
    case "array":
      return isUnsayable(shape.of);
    case "tuple":
      return shape.of.some(isUnsayable);
    case "object":
      return [...shape.of.values()].some(isUnsayable);
    case "union": {
      const given = shape.of.filter(({ is }) => is !== "undefined");
      return given.length > 0 && given.every(isUnsayable);
    }
    default:
      return false;
  }
}

function readRecord(keys: Shape, value: Shape): Shape {
  const listed = keys.is === "union" ? keys.of : [keys];
  const names = listed.flatMap((each) => (each.is === "literal" ? [String(each.value)] : []));
  return { is: "object", of: new Map((names.length > 0 ? names : ["key"]).map((name) => [name, value])) };
}
