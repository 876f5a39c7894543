import type { FileHandle } from "node:fs/promises";

/** A file of pieces, each a header in JSON and bytes, as they came from an agent. */

const lengthsBytes = 8;
/** Far more than an agent sends at a time: what says more is no file of ours. */
const maxPieceBytes = 256 * 2 ** 20;

export function encodePiece(header: object, body: Uint8Array): Uint8Array[] {
  const text = Buffer.from(JSON.stringify(header));
  const lengths = Buffer.alloc(lengthsBytes);
  lengths.writeUInt32LE(text.byteLength, 0);
  lengths.writeUInt32LE(body.byteLength, 4);
  return [lengths, text, body];
}

export interface PiecePlace<T> {
  header: T;
  /** Where its bytes lie in the file. */
  at: number;
  bytes: number;
}

/** The headers of all pieces; what was cut off at the end is left out. */
export async function readPlaces<T>(file: FileHandle): Promise<PiecePlace<T>[]> {
  const { size } = await file.stat();
  const places: PiecePlace<T>[] = [];
  for (let at = 0; at + lengthsBytes <= size;) {
    const lengths = await readBytes(file, at, lengthsBytes);
    const headerBytes = lengths.readUInt32LE(0);
    const bytes = lengths.readUInt32LE(4);
    const bodyAt = at + lengthsBytes + headerBytes;
    if (headerBytes + bytes > maxPieceBytes || bodyAt + bytes > size) break;
    const text = await readBytes(file, at + lengthsBytes, headerBytes);
    places.push({ header: JSON.parse(text.toString("utf8")) as T, at: bodyAt, bytes });
    at = bodyAt + bytes;
  }
  return places;
}

export async function readBytes(file: FileHandle, at: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  const { bytesRead } = await file.read(buffer, 0, bytes, at);
  return buffer.subarray(0, bytesRead);
}
