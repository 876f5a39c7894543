import { appendFile, cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/**
 * A build of Farcall that is another one, and does the same unless `change` says what else: it is given the text of
 * each program. Beside the real one, as it uses the same packages.
 */
export async function otherBuild(
  change: (text: string) => string = (text) => text,
): Promise<AsyncDisposable & { folder: string }> {
  const folder = await mkdtemp(join(root, "dist.other-"));
  await cp(join(root, "dist"), folder, { recursive: true, filter: (source) => !/types|webview|\.map$/.test(source) });
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".js")) continue;
    const file = join(folder, name);
    const text = await readFile(file, "utf8");
    const changed = change(text);
    if (changed !== text) await writeFile(file, changed);
  }
  await appendFile(join(folder, "agent.js"), "\n// another build\n");
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** For `otherBuild`: one that speaks another protocol. */
export function otherProtocol(text: string): string {
  return text.replace(/^var protocolVersion = \d+;/m, "var protocolVersion = 99;").replace(
    // What the agent, whose names are short, says of itself.
    /\{protocol:\w+,version:(\w+),build:/,
    "{protocol:99,version:$1,build:",
  );
}
