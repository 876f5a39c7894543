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
  /** Containers that are being written. */
  readonly #above: object[] = [];
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
    else if (this.#above.includes(value)) this.text += "[Circular]";
    else if (level > this.#limits.depth) this.text += Array.isArray(value) ? "[Array]" : "[Object]";
    else {
      this.#above.push(value);
      this.#container(value, level);
      this.#above.pop();
    }
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
    if (Array.isArray(value)) this.#list("[", value, level);
    else if (ArrayBuffer.isView(value)) {
      const list = value as Uint8Array;
      this.#list(`${list[Symbol.toStringTag]}(${list.length}) [`, list, level);
    } else if (value instanceof Map) this.#map(value, level);
    else if (value instanceof Set) this.#set(value, level);
    else this.#object(value, level);
  }

  #list(open: string, list: ArrayLike<unknown>, level: number): void {
    this.text += open;
    let written = 0;
    while (written < list.length && this.#goesOn(written, level)) this.write(list[written++], level + 1);
    this.#close("]", written, list.length, level);
  }

  #map(map: Map<unknown, unknown>, level: number): void {
    this.text += `Map(${map.size}) {`;
    let written = 0;
    for (const [key, held] of map) {
      if (!this.#goesOn(written, level)) break;
      this.write(key, level + 1);
      this.text += " => ";
      this.write(held, level + 1);
      written++;
    }
    this.#close("}", written, map.size, level);
  }

  #set(set: Set<unknown>, level: number): void {
    this.text += `Set(${set.size}) {`;
    let written = 0;
    for (const held of set) {
      if (!this.#goesOn(written, level)) break;
      this.write(held, level + 1);
      written++;
    }
    this.#close("}", written, set.size, level);
  }

  #object(value: object, level: number): void {
    this.text += "{";
    const keys = Object.keys(value);
    let written = 0;
    while (written < keys.length && this.#goesOn(written, level)) {
      const key = keys[written++]!;
      this.text += `${keyText(key, this.#limits.chars)}: `;
      const property = Object.getOwnPropertyDescriptor(value, key);
      if (property && "value" in property) this.write(property.value, level + 1);
      else this.text += "[Getter]";
    }
    this.#close("}", written, keys.length, level);
  }

  /** Whether there is room for one more part; what stands before it is written. */
  #goesOn(written: number, level: number): boolean {
    const { chars, nodes, items } = this.#limits;
    if (written >= items || this.text.length > chars || this.#nodes >= nodes) return false;
    if (written > 0) this.text += ",";
    this.text += this.#gap(level + 1);
    return true;
  }

  #close(bracket: string, written: number, of: number, level: number): void {
    if (written < of) {
      this.isWhole = false;
      this.text += `${written === 0 ? "" : ","}${this.#gap(level + 1)}… ${of - written} more`;
    }
    this.text += of === 0 ? bracket : `${this.#gap(level)}${bracket}`;
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

const plain = /^[ !#-&(-[\]-~]*$/;

function quoted(text: string): string {
  // Most texts by far: a filter writes those of a million rows.
  if (plain.test(text)) return `'${text}'`;
  const quote = ["'", '"', "`"].find((each) => !text.includes(each)) ?? "'";
  const inside = text.replaceAll("\\", "\\\\");
  return `${quote}${escaped(quote === "'" ? inside.replaceAll("'", "\\'") : inside)}${quote}`;
}

const word = /^[A-Za-z_$][\w$]*$/;
const letters = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

function keyText(key: string, maxChars: number): string {
  const text = key.length > maxChars ? key.slice(0, maxChars) : key;
  return word.test(text) || letters.test(text) ? text : quoted(text);
}
