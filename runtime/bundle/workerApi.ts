import type { Plugin } from "esbuild";

/**
 * What `import … from "farcall"` means in code that runs in a worker. The library itself is not bundled: a
 * worker needs `context()` and nothing else of it, and cannot start clusters of its own.
 *
 * `stub` throws when it is called, `object` when anything of it is used, `error` is a class for `instanceof`.
 */
export const workerApi = {
  context: "context",
  cluster: "stub",
  runs: "object",
  FarcallError: "error",
} as const satisfies Record<string, "context" | "stub" | "object" | "error">;

/** The global under which a worker puts what `context()` asks: `globalThis[Symbol.for(workerSymbol)].context()`. */
const workerSymbol = "farcall.worker";

const source = () => {
  const refuse = (name: string) => `throw new Error("${name} of farcall cannot be used inside a worker.");`;
  const forms = {
    context: (name: string) => `export function ${name}() {
  const worker = globalThis[Symbol.for("${workerSymbol}")];
  if (!worker) throw new Error("${name}() of farcall works only in a function that Farcall runs in a worker.");
  return worker.context();
}`,
    stub: (name: string) => `export function ${name}() { ${refuse(name)} }`,
    object: (name: string) =>
      `export const ${name} = /* @__PURE__ */ new Proxy({}, { get() { ${refuse(name)} }, set() { ${refuse(name)} } });`,
    error: (name: string) => `export class ${name} extends Error { name = "${name}"; }`,
  };
  return Object.entries(workerApi)
    .map(([name, form]) => forms[form](name))
    .join("\n");
};

/** Resolves `farcall` to the module above, in own and third-party code. */
export const workerApiPlugin: Plugin = {
  name: "farcall-worker-api",
  setup(build) {
    build.onResolve({ filter: /^farcall$/ }, () => ({ path: "worker", namespace: "farcall", sideEffects: false }));
    build.onLoad({ filter: /^worker$/, namespace: "farcall" }, () => ({ contents: source(), loader: "js" }));
  },
};
