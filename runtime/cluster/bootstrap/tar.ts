import { gunzipSync } from "node:zlib";

const blockBytes = 512;

/**
 * One file out of a gzipped tar archive whose checksum was verified, by the end of its path; undefined when it is not
 * in there. Plain and ustar headers: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
 */
export function fileInArchive(archive: Uint8Array, endOfPath: string): Buffer | undefined {
  const tar = gunzipSync(archive);
  for (let at = 0; at + blockBytes <= tar.byteLength;) {
    const text = (from: number, length: number) =>
      tar.toString("latin1", at + from, at + from + length).replace(/\0.*$/s, "");
    const name = text(0, 100);
    if (name === "") return undefined;
    const sizeBytes = Number.parseInt(text(124, 12), 8);
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) return undefined;
    const type = text(156, 1);
    const from = at + blockBytes;
    if ((type === "0" || type === "") && name.endsWith(endOfPath)) return tar.subarray(from, from + sizeBytes);
    at = from + Math.ceil(sizeBytes / blockBytes) * blockBytes;
  }
  return undefined;
}
