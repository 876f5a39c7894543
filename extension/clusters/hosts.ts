/** Hosts as they are typed: several, with commas or spaces between them. */
export function typedHosts(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter((word) => word !== ""))];
}

/** What was picked and typed together: text that only narrowed down the list, from which something was then picked, is none. */
export function chosenHosts(picked: readonly string[], typed: string): string[] {
  return picked.length > 0 ? [...new Set(picked.flatMap(typedHosts))] : typedHosts(typed);
}
