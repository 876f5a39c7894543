import { FarcallError, messageOf } from "../spec/errors.ts";

/**
 * JSON values, one a line. Lines end with a line feed, as https://jsonlines.org says; `node:readline` would also
 * cut at U+2028, which JSON text may hold. Throws `input.invalid` with the number of the line.
 */
export async function* jsonLines(
  stream: AsyncIterable<Uint8Array | string>,
  name: string,
): AsyncGenerator<unknown, void, undefined> {
  let number = 0;
  for await (const line of textLines(stream, name)) {
    number++;
    if (line.trim() !== "") yield parseJson(line, `${name}:${number}`);
  }
}

export function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new FarcallError("input.invalid", `${place} is not JSON: ${messageOf(cause)}.`, {
      cause,
      hint: "Each line of the input is one JSON value; a text stands in double quotes.",
    });
  }
}

async function* textLines(
  stream: AsyncIterable<Uint8Array | string>,
  name: string,
): AsyncGenerator<string, void, undefined> {
  // The decoder takes away a byte order mark at the start.
  const decoder = new TextDecoder("utf-8", { fatal: true });
  // Parts of a line whose end has not come, joined only once: a line may be as long as a string can be.
  let parts: string[] = [];
  try {
    for await (const chunk of stream) {
      const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
      let from = 0;
      for (let to = text.indexOf("\n"); to !== -1; to = text.indexOf("\n", from)) {
        parts.push(text.slice(from, to));
        from = to + 1;
        yield parts.length === 1 ? parts[0]! : parts.join("");
        parts = [];
      }
      if (from < text.length) parts.push(text.slice(from));
    }
    parts.push(decoder.decode());
  } catch (cause) {
    if (cause instanceof FarcallError) throw cause;
    const what = cause instanceof TypeError ? "it is not UTF-8" : messageOf(cause);
    throw new FarcallError("input.invalid", `Cannot read ${name}: ${what}.`, { cause });
  }
  const last = parts.join("");
  if (last !== "") yield last;
}
