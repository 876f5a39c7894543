import { relative, resolve } from "node:path";
import type { BuildOptions, BuildResult, Message } from "esbuild";
import { FarcallError } from "../spec/errors.ts";

type Esbuild = typeof import("esbuild");

let loaded: Promise<Esbuild> | undefined;

/** esbuild, loaded when something is first bundled: it costs tens of milliseconds that most commands need not pay. */
export function esbuild(): Promise<Esbuild> {
  loaded ??= import("esbuild");
  return loaded;
}

/** Ends esbuild's child process; the next build starts another. */
export async function stopEsbuild(): Promise<void> {
  const before = loaded;
  loaded = undefined;
  if (before) await (await before).stop();
}

export type CompileOptions = BuildOptions & { absWorkingDir: string };
export type CompileResult = BuildResult<{ metafile: true; write: false }>;

/** Text that may be imported; the module's default export is the file's content. */
const textExtensions = [".txt", ".md", ".html", ".css", ".sql", ".graphql"];

/**
 * One esbuild build with the settings that all of a bundle's parts share. A context is opened for the one build
 * because a context can be cancelled; it is not kept for incremental rebuilds because an open one keeps Node
 * alive, and all it would save on own code is about 3 ms.
 *
 * Throws `bundle.compile` with esbuild's messages, and the signal's reason when it aborts.
 */
export async function compile(options: CompileOptions, signal: AbortSignal | undefined): Promise<CompileResult> {
  signal?.throwIfAborted();
  const { context } = await esbuild();
  const build = await context({
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
    splitting: true,
    charset: "utf8",
    legalComments: "none",
    sourcemap: "external",
    logLevel: "silent",
    chunkNames: "chunk-[hash]",
    ...options,
    loader: {
      ...Object.fromEntries(textExtensions.map((extension) => [extension, "text"] as const)),
      ...options.loader,
    },
    metafile: true,
    write: false,
  });
  const cancel = () => void build.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    signal?.throwIfAborted();
    return await build.rebuild();
  } catch (thrown) {
    signal?.throwIfAborted();
    throw isBuildFailure(thrown) ? compileError(thrown.errors, options.absWorkingDir) : thrown;
  } finally {
    signal?.removeEventListener("abort", cancel);
    await build.dispose();
  }
}

function isBuildFailure(thrown: unknown): thrown is { errors: Message[] } {
  return thrown instanceof Error && Array.isArray((thrown as { errors?: unknown }).errors);
}

const maxMessages = 10;

/** `bundle.compile` with each of esbuild's messages as `file:line:column: text` and the line it is about. */
function compileError(messages: readonly Message[], workingFolder: string): FarcallError {
  const lines = messages.slice(0, maxMessages).map((message) => describe(message, workingFolder));
  if (messages.length > maxMessages) lines.push(`… and ${messages.length - maxMessages} more`);
  const unresolved = messages
    .map((message) => /^Could not resolve "([^"]+)"/.exec(message.text)?.[1])
    .find((path) => path !== undefined && !/^[./#]/.test(path));
  return new FarcallError("bundle.compile", `The code cannot be bundled:\n${lines.join("\n")}`, {
    hint:
      unresolved === undefined
        ? "Correct the code; nothing was sent."
        : `Install ${JSON.stringify(unresolved)} beside the code, or name its package in the env's reqs (--reqs on the command line).`,
  });
}

function describe({ location, text }: Message, workingFolder: string): string {
  if (!location) return text;
  const inNamespace = location.namespace !== "" && location.namespace !== "file";
  const file = inNamespace ? location.file : showPath(resolve(workingFolder, location.file));
  // esbuild counts a column in UTF-8 bytes from 0; editors count characters from 1.
  const before = Buffer.from(location.lineText).subarray(0, location.column).toString();
  const indent = before.replace(/[^\t]/g, " ");
  return `${file}:${location.line}:${before.length + 1}: ${text}\n    ${location.lineText}\n    ${indent}^`;
}

/** A path as a person at this terminal would write it. */
export function showPath(path: string): string {
  return relative(process.cwd(), path) || ".";
}
