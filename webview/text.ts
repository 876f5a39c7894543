import { config, t as translated } from "@vscode/l10n";
import { formatCount } from "./ui/numbers.ts";

/** Words for people. English is the key; translations come with the `start` message. */

type Translations = Record<string, string | { message: string }>;

export function setTranslations(strings: Translations | null): void {
  const contents: Record<string, string> = {};
  for (const [english, given] of Object.entries(strings ?? {})) {
    contents[english] = typeof given === "string" ? given : given.message;
  }
  config({ contents });
}

/** The sentence in the user's language, with `{0}`, `{1}`… replaced. */
export function t(english: string, ...args: (string | number)[]): string {
  return translated(english, ...args);
}

/** One of two whole sentences by a count, which stands for `{0}` with separators; further arguments follow. */
export function counted(count: number, one: string, many: string, ...args: (string | number)[]): string {
  return t(count === 1 ? one : many, formatCount(count), ...args);
}
