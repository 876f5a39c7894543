import { toJson } from "../../runtime/client/json.ts";
import { valueText } from "./valueText.ts";

/** A whole value as a text to be read: as it is, as JSON, or where JSON cannot say it as it is shown elsewhere. */

const fallback = { chars: 2_000_000, nodes: 200_000, depth: 1_000, items: Number.POSITIVE_INFINITY, indent: 2 };

export interface ValueDocument {
  text: string;
  language: "plaintext" | "json" | "javascript";
  isWhole: boolean;
}

export function documentOf(value: unknown): ValueDocument {
  if (typeof value === "string") return { text: value, language: "plaintext", isWhole: true };
  if (value instanceof Error) {
    return { text: value.stack ?? `${value.name}: ${value.message}`, language: "plaintext", isWhole: true };
  }
  try {
    return { text: toJson(value, 2), language: "json", isWhole: true };
  } catch {
    return { ...valueText(value, fallback), language: "javascript" };
  }
}
