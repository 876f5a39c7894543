/** The editor's colours for what is painted rather than styled. */

export function themeColour(name: string, fallback: string): string {
  return getComputedStyle(document.body).getPropertyValue(`--vscode-${name}`).trim() || fallback;
}

/** Whether the theme is one of high contrast, dark or light. */
export function isHighContrast(): boolean {
  return /\bvscode-high-contrast(?:-light)?\b/.test(document.body.className);
}

/** Calls back when the user has chosen another theme: the editor then changes the class of the page's body. */
export function onThemeChange(changed: () => void): () => void {
  const observer = new MutationObserver(changed);
  observer.observe(document.body, { attributes: true, attributeFilter: ["class", "data-vscode-theme-id"] });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["style"] });
  return () => observer.disconnect();
}
