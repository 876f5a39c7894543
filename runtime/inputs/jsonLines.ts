import { FarcallError, messageOf } from "../spec/errors.ts";
import { utf8Text } from "./utf8.ts";

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
  // Parts of a line whose end has not come, joined only once: a line may be as long as a string can be.
  let parts: string[] = [];
  for await (const text of utf8Text(stream, name)) {
    let from = 0;
    for (let to = text.indexOf("\n"); to !== -1; to = text.indexOf("\n", from)) {
      parts.push(text.slice(from, to));
      from = to + 1;
      yield parts.length === 1 ? parts[0]! : parts.join("");
      parts = [];
    }
    if (from < text.length) parts.push(text.slice(from));
  }
  const last = parts.join("");
  if (last !== "") yield last;
}
