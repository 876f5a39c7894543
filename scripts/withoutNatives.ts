import { readFile } from "node:fs/promises";
import type { Plugin } from "esbuild";

/**
 * ssh2 uses compiled code where it finds it and does without otherwise. Whether it was compiled is an accident of the
 * computer that builds, so it is always left out: what is built is the same everywhere.
 */
export const withoutNatives: Plugin = {
  name: "without-natives",
  setup(build) {
    build.onResolve({ filter: /\.node$|^cpu-features$/ }, ({ path }) => ({ path, namespace: "native" }));
    build.onLoad({ filter: /.*/, namespace: "native" }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is left out`)});`,
    }));
    // Where its files lie is asked for what is not shipped: a program for Windows, and WebAssembly that is inlined.
    build.onLoad({ filter: /[\\/]ssh2[\\/]lib[\\/].*\.js$/ }, async ({ path }) => {
      const contents = await readFile(path, "utf8");
      return { contents: contents.includes("__dirname") ? `var __dirname = "";\n${contents}` : contents, loader: "js" };
    });
  },
};
