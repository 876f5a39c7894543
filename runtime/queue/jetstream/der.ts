/** Writing DER, as far as certificates need it. ITU-T X.690. */
const tags = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  text: 0x0c,
  shortTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** Of a field by its number: constructed, and not. */
  explicit: 0xa0,
  implicit: 0x80,
} as const;

function element(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const length: number[] = [];
  if (content.length < 0x80) {
    length.push(content.length);
  } else {
    for (let rest = content.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
    length.unshift(0x80 | length.length);
  }
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

export const sequence = (...parts: Uint8Array[]): Buffer => element(tags.sequence, ...parts);
export const set = (...parts: Uint8Array[]): Buffer => element(tags.set, ...parts);
export const octets = (bytes: Uint8Array): Buffer => element(tags.octets, bytes);
export const text = (value: string): Buffer => element(tags.text, Buffer.from(value));
export const explicit = (field: number, ...parts: Uint8Array[]): Buffer => element(tags.explicit | field, ...parts);
export const implicit = (field: number, bytes: Uint8Array): Buffer => element(tags.implicit | field, bytes);
export const truth = (): Buffer => element(tags.boolean, Buffer.from([0xff]));

/** `unused`: how many bits of the last byte do not count. */
export const bits = (bytes: Uint8Array, unused = 0): Buffer => element(tags.bits, Buffer.from([unused]), bytes);

/** A number that is not negative, highest byte first. */
export function integer(bytes: Uint8Array): Buffer {
  return element(tags.integer, ...(bytes[0]! & 0x80 ? [Buffer.from([0])] : []), bytes);
}

export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split(".").map(Number) as [number, number, ...number[]];
  const bytes = [40 * first + second];
  for (const number of rest) {
    const digits = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return element(tags.oid, Buffer.from(bytes));
}

export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  // Certificates have two digits of the year until 2049, and four from 2050 on.
  return date.getUTCFullYear() < 2050
    ? element(tags.shortTime, Buffer.from(digits.slice(2)))
    : element(tags.time, Buffer.from(digits));
}
