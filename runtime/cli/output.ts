import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { resolve } from "node:path";
import type { Writable } from "node:stream";
import { FarcallError, isDiskFull, messageOf } from "../spec/errors.ts";

/** Where JSON lines go: a file or standard output, no faster than it takes them. */
export class LineOutput implements AsyncDisposable {
  readonly #stream: Writable;
  readonly #file: string | undefined;
  #pending = "";
  #error: Error | undefined;

  private constructor(stream: Writable, file: string | undefined) {
    this.#stream = stream;
    this.#file = file;
    if (file === undefined) return;
    const hint = "The run goes on; `farcall results RUN --output FILE` writes its outcomes elsewhere.";
    stream.on("error", (cause) => (this.#error = cannotWrite(file, cause, hint)));
  }

  static async open(file: string | undefined): Promise<LineOutput> {
    if (file === undefined || file === "-") return new LineOutput(process.stdout, undefined);
    const stream = createWriteStream(resolve(file));
    try {
      await once(stream, "open");
    } catch (cause) {
      throw cannotWrite(file, cause);
    }
    return new LineOutput(stream, file);
  }

  async write(line: string): Promise<void> {
    this.#pending += `${line}\n`;
    if (this.#pending.length > 64 * 1024) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#error) throw this.#error;
    const text = this.#pending;
    this.#pending = "";
    if (text !== "" && !this.#stream.write(text)) {
      try {
        await once(this.#stream, "drain");
      } catch (error) {
        throw this.#error ?? error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#file === undefined) return this.flush();
    if (!this.#error) {
      await this.flush();
      this.#stream.end();
    }
    if (!this.#stream.closed) await once(this.#stream, "close").catch(() => undefined);
    if (this.#error) throw this.#error;
  }
}

function cannotWrite(file: string, cause: unknown, hint?: string): FarcallError {
  const code = isDiskFull(cause) ? "disk.full" : "usage";
  const options = hint === undefined ? { cause } : { cause, hint };
  return new FarcallError(code, `Cannot write to ${file}: ${messageOf(cause)}.`, options);
}
