/** The HTML of a page in a webview, under a policy that lets in nothing but our own script and styles. */
export interface PageFiles {
  /** Where styles, fonts and pictures may come from. */
  source: string;
  style: string;
  script: string;
  /** Known to this page's own script only. */
  nonce: string;
  language: string;
}

export function pagePolicy({ source, nonce }: Pick<PageFiles, "source" | "nonce">): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${source}`,
    `font-src ${source}`,
    `img-src ${source}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}

export function pageHtml(files: PageFiles): string {
  const { style, script, nonce, language } = files;
  return `<!DOCTYPE html>
<html lang="${language}">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${pagePolicy(files)}">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>Farcall</title>
<link rel="stylesheet" href="${style}">
</head>
<body>
<div id="app"></div>
<script type="module" nonce="${nonce}" src="${script}"></script>
</body>
</html>`;
}
