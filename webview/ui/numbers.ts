/** Numbers in the editor's language. */

let locale = "en";

export function setLocale(given: string): void {
  try {
    [locale = "en"] = Intl.getCanonicalLocales(given);
  } catch {
    // An unknown name leaves English.
  }
}

export function formatNumber(value: number, options?: Intl.NumberFormatOptions): string {
  return new Intl.NumberFormat(locale, options).format(value);
}

export function formatCount(count: number): string {
  return formatNumber(count);
}
