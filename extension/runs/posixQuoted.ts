/** A word as a POSIX shell takes it, whatever stands in it. */
export function posixQuoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
