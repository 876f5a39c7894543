import { type Field, type FieldError, parseField } from "../../extension/lenses/fields.ts";
import type { LaunchForm, MapForm } from "../messages/launch.ts";
import { maxTextChars } from "../messages/fields.ts";
import { t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { formatCount } from "../ui/numbers.ts";

/** What is wrong with what was typed, in words; undefined when nothing is. */

const maxDetailChars = 300;

export function problemOf(field: Field, text: string): string | undefined {
  if (text.length > maxTextChars) {
    return t("This is too long: at most {0} characters can be given here.", formatCount(maxTextChars));
  }
  const parsed = parseField(field, text);
  return parsed.ok ? undefined : problemText(parsed);
}

function problemText({ message, detail }: FieldError): string {
  switch (message) {
    case "number":
      return t("This is not a number.");
    case "integer":
      return t("This is not a whole number.");
    case "json":
      return t("This is not JSON: {0}", shown(detail, maxDetailChars));
    case "array":
      return t("A JSON array is needed, such as [1, 2].");
    case "required":
      return t("A value is needed.");
    case "choice":
      return t("This is none of the choices: {0}", shown(detail, maxDetailChars));
  }
}

export type MapOptionName = Exclude<keyof MapForm, "onError">;

export function optionProblem(name: MapOptionName, text: string): string | undefined {
  const isWhole = name !== "timeoutSeconds";
  const parsed = parseField({ kind: "number", optional: true, ...(isWhole ? { integer: true } : {}) }, text);
  if (!parsed.ok) return problemText(parsed);
  const value = parsed.value as number | undefined;
  if (value === undefined) return undefined;
  if (name === "retries") return value < 0 ? t("This cannot be less than 0.") : undefined;
  if (name === "timeoutSeconds") return value <= 0 ? t("This must be more than 0.") : undefined;
  return value < 1 ? t("This cannot be less than 1.") : undefined;
}

/** The parameters as they would be written in a call. */
export function parameterLabel({ name, rest, type }: LaunchForm["parameters"][number]): string {
  return `${rest ? "..." : ""}${name}${type === "" ? "" : `: ${type}`}`;
}
