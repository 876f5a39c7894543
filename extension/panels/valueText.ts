/**
 * Values as text within a budget, in the manner of `util.inspect`, which has none: a value from afar may have a
 * million keys, contain itself, or hold one part so often that writing it out would never end. Nothing of a value is
 * called.
 */

export interface TextLimits {
  /** What is written stops soon behind it. */
  chars: number;
  /** Values written, containers and leaves. */
  nodes: number;
  /** Levels of containers below the first. */
  depth: number;
  /** Elements of a list, a Map or a Set. */
  items: number;
  /** Spaces a level is set in by; 0 for one line. */
  indent: number;
}

/** `isWhole` is false when the budget ended before the value did. */
export function valueText(value: unknown, limits: TextLimits): { text: string; isWhole: boolean } {
  const writer = new Writer(limits);
  writer.write(value, 0);
  return { text: writer.text, isWhole: writer.isWhole };
}

// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const shortEscapes: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Control characters as their escapes, so that a line is a line and shows what is in it. */
export function escaped(text: string): string {
  return text.replace(
    controls,
    (character) => shortEscapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The text of a larger one takes longer than anybody waits. */
const maxBigInt = 10n ** 300n;

class Writer {
  text = "";
  isWhole = true;
  readonly #limits: TextLimits;
  readonly #above = new Set<object>();
  #nodes = 0;

  constructor(limits: TextLimits) {
    this.#limits = limits;
  }

  write(value: unknown, level: number): void {
    if (this.#nodes++ >= this.#limits.nodes) {
      this.isWhole = false;
      this.text += "…";
      return;
    }
    if (typeof value !== "object" || value === null) {
      this.text += this.#leaf(value);
      return;
    }
    const leaf = leafObject(value);
    if (leaf !== undefined) this.text += leaf;
    else if (this.#above.has(value)) this.text += "[Circular]";
    else if (level > this.#limits.depth) this.text += Array.isArray(value) ? "[Array]" : "[Object]";
    else {
      this.#above.add(value);
      this.#container(value, level);
      this.#above.delete(value);
    }
  }

  get #isFull(): boolean {
    return this.text.length > this.#limits.chars || this.#nodes >= this.#limits.nodes;
  }

  #leaf(value: unknown): string {
    switch (typeof value) {
      case "string": {
        const room = Math.max(0, this.#limits.chars - this.text.length) + 1;
        if (value.length > room) this.isWhole = false;
        return quoted(value.length > room ? value.slice(0, room) : value);
      }
      case "number":
        return Object.is(value, -0) ? "-0" : String(value);
      case "bigint":
        return value > maxBigInt || value < -maxBigInt ? "[BigInt]" : `${value}n`;
      case "function":
        return "[Function]";
      default:
        return String(value);
    }
  }

  #container(value: object, level: number): void {
    if (Array.isArray(value)) this.#list("", value, level);
    else if (ArrayBuffer.isView(value)) {
      const list = value as Uint8Array;
      this.#list(`${list[Symbol.toStringTag]}(${list.length}) `, list, level);
    } else if (value instanceof Map) {
      this.#all(`Map(${value.size}) {`, "}", value.size, value.entries(), level, ([key, held]) => {
        this.write(key, level + 1);
        this.text += " => ";
        this.write(held, level + 1);
      });
    } else if (value instanceof Set) {
      this.#all(`Set(${value.size}) {`, "}", value.size, value.values(), level, (held) => this.write(held, level + 1));
    } else {
      const keys = Object.keys(value);
      this.#all("{", "}", keys.length, keys.values(), level, (key) => {
        this.text += `${keyText(key, this.#limits.chars)}: `;
        const property = Object.getOwnPropertyDescriptor(value, key);
        if (property && "value" in property) this.write(property.value, level + 1);
        else this.text += "[Getter]";
      });
    }
  }

  #list(prefix: string, list: ArrayLike<unknown>, level: number): void {
    const count = Math.min(list.length, this.#limits.items);
    const positions = function* () {
      for (let i = 0; i < count; i++) yield i;
    };
    this.#all(`${prefix}[`, "]", list.length, positions(), level, (i) => this.write(list[i], level + 1));
  }

  #all<T>(open: string, close: string, of: number, items: Iterable<T>, level: number, write: (item: T) => void): void {
    this.text += open;
    let written = 0;
    for (const item of items) {
      if (written >= this.#limits.items || this.#isFull) break;
      this.text += written === 0 ? this.#gap(level + 1) : `,${this.#gap(level + 1)}`;
      write(item);
      written++;
    }
    if (written < of) {
      this.isWhole = false;
      this.text += `${written === 0 ? "" : ","}${this.#gap(level + 1)}… ${of - written} more`;
    }
    this.text += of === 0 ? close : `${this.#gap(level)}${close}`;
  }

  #gap(level: number): string {
    return this.#limits.indent === 0 ? " " : `\n${" ".repeat(level * this.#limits.indent)}`;
  }
}

/** Objects that are written as one word. */
function leafObject(value: object): string | undefined {
  if (value instanceof Date) {
    return Number.isNaN(Date.prototype.getTime.call(value)) ? "Invalid Date" : Date.prototype.toISOString.call(value);
  }
  if (value instanceof Error) return escaped(`[${dataOf(value, "name")}: ${dataOf(value, "message")}]`);
  if (value instanceof RegExp) return escaped(RegExp.prototype.toString.call(value));
  if (value instanceof URL) return quoted(value.href);
  if (value instanceof ArrayBuffer) return `ArrayBuffer(${value.byteLength})`;
  if (value instanceof DataView) return `DataView(${value.byteLength})`;
  return undefined;
}

/** A property that is data, own or inherited, as text. */
function dataOf(value: object, key: string): string {
  for (let at: object | null = value; at; at = Object.getPrototypeOf(at) as object | null) {
    const property = Object.getOwnPropertyDescriptor(at, key);
    if (property) return typeof property.value === "string" ? property.value : "";
  }
  return "";
}

function quoted(text: string): string {
  const quote = ["'", '"', "`"].find((each) => !text.includes(each)) ?? "'";
  const inside = text.replaceAll("\\", "\\\\");
  return `${quote}${escaped(quote === "'" ? inside.replaceAll("'", "\\'") : inside)}${quote}`;
}

function keyText(key: string, maxChars: number): string {
  const text = key.length > maxChars ? key.slice(0, maxChars) : key;
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(text) ? text : quoted(text);
}
