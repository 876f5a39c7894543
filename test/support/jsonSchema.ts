/**
 * Whether a document is as a JSON schema says, for the keywords our own schemas use; any other keyword throws, so that
 * none is overlooked. Patterns are held against the whole of Unicode, as JSON Schema asks for.
 */
export type JsonSchema = Record<string, unknown>;

const annotations = new Set(["$schema", "title", "description", "examples", "default", "definitions"]);

export function matches(root: JsonSchema, value: unknown, schema: JsonSchema = root): boolean {
  return Object.entries(schema).every(([keyword, given]) => {
    if (annotations.has(keyword)) return true;
    const check = keywords[keyword];
    if (!check) throw new Error(`The keyword ${keyword} is not known here.`);
    return check(value, given as never, { schema, holds: (part, sub) => matches(root, part, sub), root });
  });
}

interface Place {
  schema: JsonSchema;
  root: JsonSchema;
  holds(part: unknown, schema: JsonSchema): boolean;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const types: Record<string, (value: unknown) => boolean> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === "string",
  boolean: (value) => typeof value === "boolean",
  number: (value) => typeof value === "number",
  integer: Number.isInteger,
};

const keywords: Record<string, (value: unknown, given: never, place: Place) => boolean> = {
  $ref: (value, ref: string, { root, holds }) => {
    const parts = ref.slice("#/".length).split("/");
    return holds(
      value,
      parts.reduce<JsonSchema>((at, part) => at[part] as JsonSchema, root),
    );
  },
  type: (value, type: string) => types[type]!(value),
  properties: (value, properties: Record<string, JsonSchema>, { holds }) =>
    !isObject(value) ||
    Object.entries(properties).every(([key, schema]) => !Object.hasOwn(value, key) || holds(value[key], schema)),
  additionalProperties: (value, given: boolean | JsonSchema, { schema, holds }) => {
    const known = schema["properties"] ?? {};
    const others = isObject(value) ? Object.keys(value).filter((key) => !Object.hasOwn(known, key)) : [];
    return others.every((key) => given === true || (given !== false && holds((value as JsonSchema)[key], given)));
  },
  propertyNames: (value, given: JsonSchema, { holds }) =>
    !isObject(value) || Object.keys(value).every((key) => holds(key, given)),
  items: (value, given: JsonSchema, { holds }) => !Array.isArray(value) || value.every((each) => holds(each, given)),
  anyOf: (value, given: JsonSchema[], { holds }) => given.some((schema) => holds(value, schema)),
  pattern: (value, given: string) => typeof value !== "string" || new RegExp(given, "u").test(value),
  minimum: (value, given: number) => typeof value !== "number" || value >= given,
  maximum: (value, given: number) => typeof value !== "number" || value <= given,
};
