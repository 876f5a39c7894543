import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Plugin } from "esbuild";
import { messageOf } from "../spec/errors.ts";

interface ModuleExport {
  name: string;
  kind: string;
}

interface WasmModule {
  new (bytes: Uint8Array): object;
  exports(module: object): ModuleExport[];
  imports(module: object): (ModuleExport & { module: string })[];
}

// Neither TypeScript's ECMAScript library nor Node's types describe the global.
const { Module } = (globalThis as unknown as { WebAssembly: { Module: WasmModule } }).WebAssembly;

/**
 * `import … from "./a.wasm"` in the spirit of Node's WebAssembly modules: the exports of the instance by name,
 * and as `default` the compiled `WebAssembly.Module` unless the file exports a `default` of its own. What the
 * file imports is imported as ECMAScript modules; when one of those cannot be found, only `default` is there,
 * for the program to instantiate with imports of its own making. The file itself travels as an asset.
 */
export const wasmPlugin: Plugin = {
  name: "farcall-wasm",
  setup(build) {
    build.onLoad({ filter: /\.wasm$/ }, async ({ path }) => {
      let module: object;
      try {
        module = new Module(await readFile(path));
      } catch (cause) {
        return { errors: [{ text: `${basename(path)} is not a WebAssembly module: ${messageOf(cause)}` }] };
      }
      const imports = [...new Set(Module.imports(module).map((entry) => entry.module))];
      const found = await Promise.all(
        imports.map((name) =>
          build.resolve(name, { importer: path, resolveDir: dirname(path), kind: "import-statement" }),
        ),
      );
      const linked = found.every((result) => result.errors.length === 0);
      const exports = linked ? Module.exports(module) : [];
      return {
        contents: moduleText(basename(path), linked ? imports : [], exports),
        loader: "js",
        resolveDir: dirname(path),
      };
    });
  },
};

function moduleText(file: string, imports: string[], exports: ModuleExport[]): string {
  const text = (value: string) => JSON.stringify(value);
  const url = `new URL(${text(`./${encodeURIComponent(file)}`)}, import.meta.url)`;
  const lines = [
    `import { readFileSync } from "node:fs";`,
    ...imports.map((name, i) => `import * as import${i} from ${text(name)};`),
    `const module = /* @__PURE__ */ new WebAssembly.Module(readFileSync(${url}));`,
  ];
  if (exports.length > 0) {
    const links = imports.map((name, i) => `${text(name)}: import${i}`).join(", ");
    lines.push(`const { exports } = new WebAssembly.Instance(module, { ${links} });`);
  }
  const names = exports.map(({ name, kind }, i) => {
    // A WebAssembly global stands for its value, as in Node.
    lines.push(`const export${i} = exports[${text(name)}]${kind === "global" ? ".value" : ""};`);
    return `export${i} as ${text(name)}`;
  });
  if (!exports.some(({ name }) => name === "default")) names.push("module as default");
  return [...lines, `export { ${names.join(", ")} };`].join("\n");
}
