import { toJson } from "../client/json.ts";
import { eachInput } from "../inputs/preview.ts";
import { openInput } from "../inputs/source.ts";
import { isPlainJson } from "../protocol/plainJson.ts";
import { FarcallError } from "../spec/errors.ts";
import { unsayableInJson } from "../spec/jsonValue.ts";
import type { Invocation } from "./main.ts";
import { endWithParent } from "./endWithParent.ts";
import { flag, noMore, whole } from "./options.ts";
import { LineOutput } from "./output.ts";
import { consoleToStandardError } from "./terminal.ts";

/** `farcall inputs`. */

const flushEveryMs = 50;

export async function inputsCommand({ words, values, signal }: Invocation): Promise<number> {
  const usage = "farcall inputs FILE|-|glob:PATTERN|MODULE#EXPORT";
  const [given, ...rest] = words;
  if (given === undefined) throw new FarcallError("usage", "No input is named.", { hint: `Usage: ${usage}` });
  noMore(rest, usage);
  const limit = whole(values, "limit", 1) ?? Infinity;
  const onlyCount = flag(values, "count");
  if (process.env["FARCALL_ENDS_WITH_PARENT"]) endWithParent();
  consoleToStandardError();
  using input = await openInput(given, { signal });
  await using output = await LineOutput.open(undefined);
  let count = 0;
  // Those of a source that makes one wait are shown as they come.
  using _flushing = setInterval(() => void output.flush().catch(() => undefined), flushEveryMs);
  for await (const value of eachInput(input.values, signal)) {
    if (!onlyCount) await output.write(inputJson(value, count));
    if (++count >= limit) break;
  }
  if (onlyCount) await output.write(flag(values, "json") ? `{"count":${count}}` : String(count));
  return 0;
}

function inputJson(value: unknown, index: number): string {
  const found = isPlainJson(value) ? undefined : unsayableInJson(value);
  if (found === undefined) return toJson(value);
  const where = found.path === "" ? "it is" : `${found.path} is`;
  throw new FarcallError("value.unserializable", `Input ${index} cannot be written as JSON: ${where} ${found.what}.`, {
    hint: "A map takes it as it is; to see it as JSON, make it plain data.",
  });
}
