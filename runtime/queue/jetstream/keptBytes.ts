/** Bytes that were read or stored last, by name. Who asks for what is being read waits for the same. */
export class KeptBytes {
  readonly #maxBytes: number;
  /** The one used last at the end. */
  readonly #kept = new Map<string, { body: Promise<Uint8Array>; bytes: number }>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  keep(name: string, body: Uint8Array): void {
    this.#hold(name, Promise.resolve(body), body.byteLength);
  }

  get(name: string, read: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const kept = this.#kept.get(name);
    if (kept) {
      this.#kept.delete(name);
      this.#kept.set(name, kept);
      return kept.body;
    }
    const reading = read();
    this.#hold(name, reading, 0);
    reading.then(
      (body) => this.#kept.get(name)?.body === reading && this.#hold(name, reading, body.byteLength),
      () => this.#kept.get(name)?.body === reading && this.#forget(name),
    );
    return reading;
  }

  #hold(name: string, body: Promise<Uint8Array>, bytes: number): void {
    this.#forget(name);
    this.#kept.set(name, { body, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#forget(oldest);
    }
  }

  #forget(name: string): void {
    this.#bytes -= this.#kept.get(name)?.bytes ?? 0;
    this.#kept.delete(name);
  }
}
