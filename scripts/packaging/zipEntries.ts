import { readFile } from "node:fs/promises";

/** What a zip file's own table says about one file in it. */
export interface ZipEntry {
  name: string;
  sizeBytes: number;
  /** The Unix permissions, such as 0o755; 0 where none were written. */
  mode: number;
}

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const endLength = 22;
const entryLength = 46;

/** Lists a zip file of less than 4 GiB. Throws when it is not one. */
export async function zipEntries(file: string): Promise<ZipEntry[]> {
  const bytes = await readFile(file);
  let end = bytes.length - endLength;
  while (end >= 0 && bytes.readUInt32LE(end) !== endSignature) end--;
  if (end < 0) throw new Error(`${file} is not a zip file.`);
  const count = bytes.readUInt16LE(end + 10);
  let at = bytes.readUInt32LE(end + 16);
  return Array.from({ length: count }, () => {
    if (bytes.readUInt32LE(at) !== entrySignature) throw new Error(`The table of ${file} is damaged at byte ${at}.`);
    const nameLength = bytes.readUInt16LE(at + 28);
    const entry = {
      name: bytes.toString("utf8", at + entryLength, at + entryLength + nameLength),
      sizeBytes: bytes.readUInt32LE(at + 24),
      mode: (bytes.readUInt32LE(at + 38) >>> 16) & 0o777,
    };
    at += entryLength + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
    return entry;
  });
}
