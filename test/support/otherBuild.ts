import { appendFile, cp, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** A build of Farcall that does the same and is another one all the same. Beside the real one, as it uses the same packages. */
export async function otherBuild(): Promise<AsyncDisposable & { folder: string }> {
  const folder = await mkdtemp(join(root, "dist.other-"));
  await cp(join(root, "dist"), folder, { recursive: true, filter: (source) => !/types|webview|\.map$/.test(source) });
  await appendFile(join(folder, "agent.js"), "\n// another build\n");
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
