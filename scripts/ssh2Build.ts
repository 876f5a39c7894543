import { readFile } from "node:fs/promises";
import type { Plugin } from "esbuild";

/** Of Node's crypto what ssh2's ciphers use. Node 24 takes a key object in 5 µs and the bytes of a key in 30, for each packet. */
const cipherCrypto = `
  const { createCipheriv, createDecipheriv, createHmac, createSecretKey, randomFillSync, timingSafeEqual } = require("node:crypto");
  const keys = new WeakMap();
  function keyOf(bytes) {
    if (!keys.has(bytes)) keys.set(bytes, createSecretKey(bytes));
    return keys.get(bytes);
  }
  module.exports = {
    createCipheriv: (name, key, iv, options) => createCipheriv(name, keyOf(key), iv, options),
    createDecipheriv: (name, key, iv, options) => createDecipheriv(name, keyOf(key), iv, options),
    createHmac,
    randomFillSync,
    timingSafeEqual,
  };`;

/**
 * ssh2 uses compiled code where it finds it and does without otherwise. Whether it was compiled is an accident of the
 * computer that builds, so it is always left out: what is built is the same everywhere.
 */
export const ssh2Build: Plugin = {
  name: "ssh2-build",
  setup(build) {
    build.onResolve({ filter: /\.node$|^cpu-features$/ }, ({ path }) => ({ path, namespace: "native" }));
    build.onLoad({ filter: /.*/, namespace: "native" }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is left out`)});`,
    }));
    build.onResolve({ filter: /^crypto$/ }, ({ importer }) =>
      /[\\/]ssh2[\\/]lib[\\/]protocol[\\/]crypto\.js$/.test(importer)
        ? { path: "crypto", namespace: "cipher-crypto" }
        : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "cipher-crypto" }, () => ({ contents: cipherCrypto }));
    // Where its files lie is asked for what is not shipped: a program for Windows, and WebAssembly that is inlined.
    build.onLoad({ filter: /[\\/]ssh2[\\/]lib[\\/].*\.js$/ }, async ({ path }) => {
      const contents = await readFile(path, "utf8");
      return { contents: contents.includes("__dirname") ? `var __dirname = "";\n${contents}` : contents, loader: "js" };
    });
  },
};
