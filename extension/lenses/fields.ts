/** Form fields for arguments, and reading what was typed into them. Needs no parser, so a webview can have it. */

export type ChoiceValue = string | number | boolean | null;

export type Field = { optional: boolean } & (
  | { kind: "text" }
  | { kind: "number"; integer?: boolean }
  | { kind: "checkbox" }
  | { kind: "choice"; values: ChoiceValue[] }
  /**
   * `array`: nothing but an array will do, as for a rest parameter. `unsayable`: what the parameter takes cannot be
   * written as JSON, so whatever is typed is something else.
   */
  | { kind: "json"; placeholder: string; array?: boolean; unsayable?: boolean }
);

export type FieldErrorCode = "number" | "integer" | "json" | "required" | "array" | "choice";

export interface FieldError {
  /** A code for the surface to put into words. */
  message: FieldErrorCode;
  /** What is wrong more precisely, in English, or the text itself. */
  detail: string;
}

export type Parsed = { ok: true; value: unknown } | ({ ok: false } & FieldError);

/** An empty optional field is `undefined`; an empty text that must be given is the empty text. */
export function parseField(field: Field, text: string): Parsed {
  const trimmed = text.trim();
  if (field.kind === "text") return given(text === "" && field.optional ? undefined : text);
  if (trimmed === "") {
    // The empty text may be one of the choices.
    if (field.kind === "choice" && field.values.includes(text)) return given(text);
    return field.optional ? given(undefined) : refused("required", "");
  }
  switch (field.kind) {
    case "number":
      return parseNumber(trimmed, field.integer ?? false);
    case "checkbox":
      return trimmed === "true" || trimmed === "false" ? given(trimmed === "true") : refused("choice", "true, false");
    case "choice":
      return parseChoice(field.values, text);
    default:
      return parseJson(trimmed, field.array ?? false);
  }
}

/** What stands for a value of a choice in its text; what `parseField` reads back. */
export function choiceText(value: ChoiceValue): string {
  return JSON.stringify(value);
}

function parseNumber(text: string, integer: boolean): Parsed {
  const value = Number(text);
  if (!Number.isFinite(value)) return refused("number", text);
  return integer && !Number.isSafeInteger(value) ? refused("integer", text) : given(value);
}

/** JSON comes first: of 1 and "1", the text `1` is the number. */
function parseChoice(values: readonly ChoiceValue[], text: string): Parsed {
  const found = values.find((value) => choiceText(value) === text.trim());
  if (found !== undefined) return given(found);
  if (values.includes(text)) return given(text);
  return refused("choice", values.map(choiceText).join(", "));
}

function parseJson(text: string, array: boolean): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return refused("json", (error as Error).message);
  }
  return array && !Array.isArray(value) ? refused("array", text) : given(value);
}

function given(value: unknown): Parsed {
  return { ok: true, value };
}

export function refused(message: FieldErrorCode, detail: string): { ok: false } & FieldError {
  return { ok: false, message, detail };
}
