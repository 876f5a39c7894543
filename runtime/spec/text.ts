import { stripVTControlCharacters } from "node:util";

// Everything that could do something to a terminal rather than be read in it: C0 and C1 controls but tab and
// newline, and the bidirectional overrides that reorder a line.
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Text from afar without anything that could do more than be read. */
export function plainText(text: string): string {
  return stripVTControlCharacters(text).replace(controls, "");
}

/** The same as one line. */
export function plainLine(text: string): string {
  return plainText(text).replaceAll("\n", "");
}
