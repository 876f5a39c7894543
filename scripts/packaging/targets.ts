/** The platforms that VS Code tells apart, and the package that holds esbuild's program for each. */
export const esbuildPlatforms = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "linux-armhf": "linux-arm",
  // The program is linked statically, so it also runs where the C library is musl.
  "alpine-x64": "linux-x64",
  "alpine-arm64": "linux-arm64",
  "darwin-x64": "darwin-x64",
  "darwin-arm64": "darwin-arm64",
  "win32-x64": "win32-x64",
  "win32-arm64": "win32-arm64",
} as const;

export type Target = keyof typeof esbuildPlatforms;

export const targets = Object.keys(esbuildPlatforms) as Target[];

export function isTarget(name: string): name is Target {
  return Object.hasOwn(esbuildPlatforms, name);
}

/** The target of this computer. */
export function currentTarget(): Target {
  const isMusl = process.platform === "linux" && !reportHeader()["glibcVersionRuntime"];
  const name = `${isMusl ? "alpine" : process.platform}-${process.arch === "arm" ? "armhf" : process.arch}`;
  if (!isTarget(name)) throw new Error(`There is no VS Code for ${name}; targets are ${targets.join(", ")}.`);
  return name;
}

function reportHeader(): Record<string, unknown> {
  return (process.report.getReport() as { header: Record<string, unknown> }).header;
}

/** Where esbuild's program lies in its package. */
export function esbuildProgram(target: Target): string {
  return target.startsWith("win32") ? "esbuild.exe" : "bin/esbuild";
}
