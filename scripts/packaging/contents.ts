import { esbuildPlatforms, esbuildProgram, type Target } from "./targets.ts";
import type { ZipEntry } from "./zipEntries.ts";

/** What an extension package may hold: names that must be there, and patterns of names that may be. */
interface ExpectedFiles {
  required: string[];
  allowed: RegExp[];
}

/** The content of the package for `target`. Chunks are named by their content, so a pattern stands for them. */
export function expectedFiles(target: Target): ExpectedFiles {
  const esbuild = "extension/dist/node_modules/esbuild";
  const platform = `extension/dist/node_modules/@esbuild/${esbuildPlatforms[target]}`;
  return {
    required: [
      "[Content_Types].xml",
      "extension.vsixmanifest",
      "extension/package.json",
      "extension/readme.md",
      "extension/changelog.md",
      "extension/LICENSE.txt",
      ...["index", "cli", "agent", "worker", "extension"].map((name) => `extension/dist/${name}.js`),
      "extension/dist/setup.cjs",
      `${esbuild}/package.json`,
      `${esbuild}/LICENSE.md`,
      `${esbuild}/lib/main.js`,
      `${platform}/package.json`,
      `${platform}/${esbuildProgram(target)}`,
    ],
    allowed: [
      /^extension\/dist\/chunk-[A-Z0-9]{8}\.js$/,
      /^extension\/dist\/webview\/[\w-]+\.(js|css|ttf|woff2)$/,
      /^extension\/media\/[\w/.-]+\.(svg|png|md|json)$/,
      /^extension\/package\.nls(\.[\w-]+)?\.json$/,
      /^extension\/l10n\/bundle\.l10n(\.[\w-]+)?\.json$/,
    ],
  };
}

/** What is wrong with the content of a package for `target`, one sentence each; none when all is as expected. */
export function surprises(target: Target, entries: readonly ZipEntry[]): string[] {
  const { required, allowed } = expectedFiles(target);
  const names = new Set(entries.map(({ name }) => name));
  const known = new Set(required);
  const program = entries.find(({ name }) => name.endsWith(`/${esbuildProgram(target)}`));
  return [
    ...required.filter((name) => !names.has(name)).map((name) => `${name} is missing.`),
    ...[...names]
      .filter((name) => !known.has(name) && !allowed.some((pattern) => pattern.test(name)))
      .map((name) => `${name} does not belong there.`),
    ...(program && !target.startsWith("win32") && (program.mode & 0o111) === 0
      ? [`${program.name} may not be executed.`]
      : []),
  ];
}
