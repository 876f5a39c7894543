const reordering = /[\u202a-\u202e\u2066-\u2069]/g;

/** The characters that reorder a line, so that it reads as what it is not, as their escapes. */
export function withoutReordering(text: string): string {
  return text.replace(reordering, (character) => `\\u${character.charCodeAt(0).toString(16)}`);
}
