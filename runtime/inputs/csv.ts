import { pipeline, Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { FarcallError } from "../spec/errors.ts";
import { utf8Text } from "./utf8.ts";

/** A quote that is never closed would otherwise take in the rest of the file. */
const maxRowChars = 64 * 1024 * 1024;

const hint =
  "A field that holds a separator, a quote or a line break stands in double quotes, and a quote in it is doubled.";

/**
 * The rows of a CSV file, each an object by the names of the header row, with texts as values. Empty lines are left
 * out. Throws `input.invalid` with the line for a row that has more or fewer fields than the header, for wrong
 * quoting, and for two columns of one name.
 */
export async function* csvRows(
  stream: AsyncIterable<Uint8Array | string>,
  name: string,
  delimiter: "," | "\t",
): AsyncGenerator<Record<string, string>, void, undefined> {
  let columns = 0;
  const parser = parse({
    columns: (header: string[]) => {
      columns = header.length;
      return uniqueNames(header, name);
    },
    delimiter,
    // Named, as one file may mix them; found out by itself, only the first would count.
    record_delimiter: ["\r\n", "\n", "\r"],
    skip_empty_lines: true,
    max_record_size: maxRowChars,
  });
  // What goes wrong in either is thrown where the rows are read.
  pipeline(Readable.from(utf8Text(stream, name)), parser, () => undefined);
  try {
    for await (const row of parser) yield row as Record<string, string>;
  } catch (error) {
    throw error instanceof CsvError ? rowError(error, name, columns) : error;
  }
}

function uniqueNames(header: string[], name: string): string[] {
  const twice = header.find((column, i) => header.indexOf(column) !== i);
  if (twice === undefined) return header;
  throw new FarcallError("input.invalid", `${name} has two columns called ${JSON.stringify(twice)}.`, {
    hint: "Each row becomes an object by the header row, so each column needs a name of its own.",
  });
}

function rowError(error: CsvError, name: string, columns: number): FarcallError {
  const { lines, record } = error as { lines?: unknown; record?: unknown };
  const place = typeof lines === "number" ? `${name}:${lines}` : name;
  if (error.code === "CSV_RECORD_INCONSISTENT_COLUMNS") {
    const fields = Array.isArray(record) ? count(record.length) : "another number of fields";
    return new FarcallError("input.invalid", `${place} has ${fields}, the header row has ${count(columns)}.`, {
      cause: error,
      hint,
    });
  }
  const what = quotingErrors[error.code] ?? error.message;
  return new FarcallError("input.invalid", `${place} is not CSV: ${what}.`, { cause: error, hint });
}

function count(fields: number): string {
  return fields === 1 ? "1 field" : `${fields} fields`;
}

const quotingErrors: Record<string, string> = {
  CSV_QUOTE_NOT_CLOSED: "a quote that is opened here or above is never closed",
  INVALID_OPENING_QUOTE: "there is a quote within a field that does not begin with one",
  CSV_INVALID_CLOSING_QUOTE: "there is text behind the quote that closes a field",
  CSV_MAX_RECORD_SIZE: "the row is too long; a quote may never be closed",
};
