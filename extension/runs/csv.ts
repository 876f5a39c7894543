import type { MapOutcome } from "../../runtime/index.ts";
import { errorJson, toJson } from "../../runtime/client/json.ts";
import { isRecord } from "../panels/columns.ts";
import { valueText } from "../panels/valueText.ts";

/**
 * Outcomes as RFC 4180 has it, for spreadsheets: a column for each property of the results, one for results that are
 * no objects, one for what failed. Which columns there are is known when all have been read, so it takes two readings.
 */

/** A spreadsheet of more is of no use; what does not fit stands as JSON in one column. */
const maxColumns = 200;
const maxUnwritableChars = 32_000;

class CsvColumns {
  readonly #keys = new Set<string>();
  #hasValues = false;
  #hasMore = false;

  /** The first reading: to be told of each outcome. */
  see(outcome: MapOutcome<unknown>): void {
    if ("error" in outcome) return;
    const { value } = outcome;
    if (!isRecord(value)) {
      this.#hasValues = true;
      return;
    }
    for (const key of Object.keys(value)) {
      if (this.#keys.has(key)) continue;
      if (this.#keys.size < maxColumns) this.#keys.add(key);
      else {
        this.#hasMore = true;
        return;
      }
    }
  }

  get head(): string {
    const own = new Set(["index", "value", "more", "error"]);
    const names = [...this.#keys].map((key) => {
      let name = key;
      while (own.has(name)) name = `value.${name}`;
      own.add(name);
      return name;
    });
    return line([
      "index",
      ...names.map(guarded),
      ...(this.#isValued ? ["value"] : []),
      ...(this.#hasMore ? ["more"] : []),
      "error",
    ]);
  }

  /** The second reading: the line of an outcome. */
  line(outcome: MapOutcome<unknown>): string {
    const value = "error" in outcome ? undefined : outcome.value;
    const record = isRecord(value) ? value : undefined;
    const cells = [...this.#keys].map((key) => (record && Object.hasOwn(record, key) ? cellOf(record[key]) : ""));
    if (this.#isValued) cells.push(record ? "" : cellOf(value));
    if (this.#hasMore) cells.push(record ? this.#more(record) : "");
    return line([String(outcome.index), ...cells, "error" in outcome ? errorText(outcome.error) : ""]);
  }

  get #isValued(): boolean {
    return this.#hasValues || this.#keys.size === 0;
  }

  #more(record: Record<string, unknown>): string {
    const rest = Object.entries(record).filter(([key]) => !this.#keys.has(key));
    return rest.length === 0 ? "" : cellOf(Object.fromEntries(rest));
  }
}

export async function* csvLines(
  outcomes: () => AsyncIterable<MapOutcome<unknown>>,
): AsyncGenerator<string, void, undefined> {
  const columns = new CsvColumns();
  for await (const outcome of outcomes()) columns.see(outcome);
  yield columns.head;
  for await (const outcome of outcomes()) yield columns.line(outcome);
}

function line(cells: readonly string[]): string {
  return `${cells.map(quoted).join(",")}\r\n`;
}

function errorText(error: Error): string {
  const { name, message } = errorJson(error);
  return guarded(`${String(name)}: ${String(message)}`);
}

function cellOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return guarded(value);
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "" : value.toISOString();
  try {
    return guarded(toJson(value));
  } catch {
    // One that contains itself is no JSON; something of it is better than nothing.
    const limits = { chars: maxUnwritableChars, nodes: maxUnwritableChars, depth: 20, items: 1_000, indent: 0 };
    return guarded(valueText(value, limits).text);
  }
}

/** A spreadsheet takes these at the start for a formula, and what it says came from afar. A number is harmless. */
function guarded(text: string): string {
  return /^[=+\-@\t\r\n＝＋－＠]/.test(text) && !/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? `'${text}` : text;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
