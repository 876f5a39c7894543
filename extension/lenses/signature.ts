import type { Doc } from "./jsdoc.ts";
import type { FunctionNode, FunctionTypeNode, ParameterNode, TypeNode } from "./syntax.ts";

/** What a function takes and returns, as its text says. */

export interface Param {
  /** The name in the text; for a destructured parameter a made-up one such as `options` or `arg2`. */
  name: string;
  /** Source text. */
  type?: string;
  optional: boolean;
  rest: boolean;
  /** Source text. */
  default?: string;
  /** What `@param` says. */
  doc?: string;
}

export interface Signature {
  params: Param[];
  /** Source text. */
  returnType?: string;
  /** There is a parameter that must be given and can only be a function. */
  takesFunction: boolean;
}

interface Typed {
  type: string;
  start?: number | null;
  end?: number | null;
}

interface Shape {
  name?: string;
  pattern?: "object" | "array";
  type?: TypeNode | undefined;
  optional: boolean;
  rest: boolean;
  default?: string;
}

/**
 * `declared` is a function type written elsewhere, as in `const f: (a: string) => void = (a) => …`. JSDoc types count
 * where TypeScript has none.
 */
export function signatureOf(
  text: string,
  node: FunctionNode | undefined,
  declared: FunctionTypeNode | undefined,
  doc: Doc | undefined,
): Signature {
  const textOf = (part: Typed): string => text.slice(part.start!, part.end!);
  const declaredShapes = shapesOf(declared?.params ?? [], textOf);
  const shapes = node ? shapesOf(node.params, textOf) : declaredShapes;
  const documented = [...(doc?.params ?? [])];
  const names = namesOf(
    shapes,
    documented.map(([name]) => name),
    textOf,
  );
  let takesFunction = false;
  const params = shapes.map((shape, index): Param => {
    const name = names[index]!;
    const said = doc?.params.get(name);
    const declaredShape = declaredShapes[index];
    const typeNode = shape.type ?? (declaredShape?.rest === shape.rest ? declaredShape.type : undefined);
    const type = typeNode ? textOf(typeNode) : said?.type;
    const fallback = shape.default ?? said?.default;
    const param: Param = {
      name,
      optional: shape.optional || shape.rest || (said?.optional ?? false),
      rest: shape.rest,
    };
    if (type !== undefined) param.type = type;
    if (fallback !== undefined) param.default = fallback;
    if (said?.text !== undefined) param.doc = said.text;
    takesFunction ||= !param.optional && isFunctionType(typeNode, type);
    return param;
  });
  const annotation = node?.returnType;
  const returned = annotation?.type === "TSTypeAnnotation" ? annotation : declared?.returnType;
  const returnType = returned?.type === "TSTypeAnnotation" ? textOf(returned.typeAnnotation) : doc?.returns;
  return { params, ...(returnType === undefined ? {} : { returnType }), takesFunction };
}

function isFunctionType(node: TypeNode | undefined, text: string | undefined): boolean {
  if (node?.type === "TSParenthesizedType") return isFunctionType(node.typeAnnotation, text);
  return node?.type === "TSFunctionType" || text === "Function" || text === "function";
}

function shapesOf(nodes: readonly ParameterNode[] | readonly unknown[], textOf: (part: Typed) => string): Shape[] {
  return (nodes as readonly ParameterNode[])
    .filter((node) => !(node.type === "Identifier" && node.name === "this"))
    .map((node) => shapeOf(node, textOf));
}

function shapeOf(node: ParameterNode, textOf: (part: Typed) => string): Shape {
  switch (node.type) {
    case "Identifier":
      return { name: node.name, type: annotationOf(node), optional: node.optional === true, rest: false };
    case "AssignmentPattern":
      return { ...shapeOf(node.left as ParameterNode, textOf), optional: true, default: textOf(node.right) };
    case "RestElement": {
      const inner = shapeOf(node.argument as ParameterNode, textOf);
      return { ...inner, type: annotationOf(node) ?? inner.type, rest: true };
    }
    case "ObjectPattern":
    case "ArrayPattern": {
      const pattern = node.type === "ObjectPattern" ? "object" : "array";
      const optional = (node as { optional?: boolean }).optional === true;
      return { pattern, type: annotationOf(node), optional, rest: false };
    }
    case "TSParameterProperty":
      return shapeOf(node.parameter, textOf);
    default:
      return { optional: false, rest: false };
  }
}

function annotationOf(node: { typeAnnotation?: unknown }): TypeNode | undefined {
  const annotation = node.typeAnnotation as { type: string; typeAnnotation: TypeNode } | null | undefined;
  return annotation?.type === "TSTypeAnnotation" ? annotation.typeAnnotation : undefined;
}

/** Destructured parameters get the name JSDoc has for them, that of their type, `options`, or `arg` and a number. */
function namesOf(shapes: readonly Shape[], documented: readonly string[], textOf: (part: Typed) => string): string[] {
  const taken = new Set(shapes.flatMap(({ name }) => name ?? []));
  const nameless = shapes.filter(({ pattern }) => pattern === "object").length;
  return shapes.map(({ name, pattern, type }, index) => {
    if (name !== undefined) return name;
    const typeName = type?.type === "TSTypeReference" ? /^[A-Za-z_$][\w$]*$/.exec(textOf(type))?.[0] : undefined;
    const candidates = [
      documented.length === shapes.length ? documented[index] : undefined,
      typeName && typeName[0]!.toLowerCase() + typeName.slice(1),
      pattern === "object" && nameless === 1 ? "options" : undefined,
    ];
    let made = candidates.find((candidate) => candidate !== undefined && !taken.has(candidate));
    for (let number = index + 1; made === undefined; number++) if (!taken.has(`arg${number}`)) made = `arg${number}`;
    taken.add(made);
    return made;
  });
}
