import { FarcallError, messageOf } from "../spec/errors.ts";

/**
 * The text of a stream in pieces, without a byte order mark. Throws `input.invalid` when it cannot be read or is not
 * UTF-8; `name` is what the message calls it.
 */
export async function* utf8Text(
  stream: AsyncIterable<Uint8Array | string>,
  name: string,
): AsyncGenerator<string, void, undefined> {
  // The decoder takes away a byte order mark at the start.
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const chunk of stream) yield typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    yield decoder.decode();
  } catch (cause) {
    if (cause instanceof FarcallError) throw cause;
    const what = cause instanceof TypeError ? "it is not UTF-8" : messageOf(cause);
    throw new FarcallError("input.invalid", `Cannot read ${name}: ${what}.`, { cause });
  }
}
