import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { resolve } from "node:path";
import type { Writable } from "node:stream";
import type { MapOutcome } from "../client/outcomes.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { errorJson, toJson } from "./terminal.ts";

/** Where JSON lines go: a file or standard output, no faster than it takes them. */
export class LineOutput implements AsyncDisposable {
  readonly #stream: Writable;
  readonly #isFile: boolean;
  #pending = "";
  #error: Error | undefined;

  private constructor(stream: Writable, isFile: boolean) {
    this.#stream = stream;
    this.#isFile = isFile;
    if (isFile) stream.on("error", (error) => (this.#error = error));
  }

  static async open(file: string | undefined): Promise<LineOutput> {
    if (file === undefined || file === "-") return new LineOutput(process.stdout, false);
    const stream = createWriteStream(resolve(file));
    try {
      await once(stream, "open");
    } catch (cause) {
      throw new FarcallError("usage", `Cannot write to ${file}: ${messageOf(cause)}.`, { cause });
    }
    return new LineOutput(stream, true);
  }

  async write(line: string): Promise<void> {
    this.#pending += `${line}\n`;
    if (this.#pending.length > 64 * 1024) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#error) throw this.#error;
    const text = this.#pending;
    this.#pending = "";
    if (text !== "" && !this.#stream.write(text)) await once(this.#stream, "drain");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    if (!this.#isFile) return;
    this.#stream.end();
    await once(this.#stream, "close");
    if (this.#error) throw this.#error;
  }
}

/** One outcome as one line: `{"index":0,"value":…}` or `{"index":3,"error":{…}}`. */
export function outcomeLine(outcome: MapOutcome<unknown>): string {
  if ("error" in outcome)
    return `{"index":${outcome.index},"error":${toJson(errorJson(outcome.error, outcome.attempts))}}`;
  return `{"index":${outcome.index},"value":${toJson(outcome.value)}}`;
}
