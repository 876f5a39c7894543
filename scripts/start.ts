/**
 * `npm start`: the main job on the embedded default. Counts the words of a few hundred real documents, the
 * READMEs, licences and HTML pages of the installed packages, served by a small local server, in parallel on the local
 * cluster. `npm start -- --wikipedia` counts ten Wikipedia pages instead.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { glob, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";

const root = join(import.meta.dirname, "..");
const maxDocuments = 400;
const maxDocumentBytes = 512 * 1024;
const replicas = 2;
const concurrency = 4;

const wikipediaPages = [
  "Python_(programming_language)",
  "History_of_Python",
  "Guido_van_Rossum",
  "CPython",
  "Python_syntax_and_semantics",
  "Zen_of_Python",
  "Python_Software_Foundation",
  "PyPy",
  "Cython",
  "List_of_Python_software",
];

async function documents(): Promise<string[]> {
  const found: string[] = [];
  for await (const path of glob("node_modules/**/{*.{md,markdown,html,txt},README*,LICEN[CS]E*}", { cwd: root })) {
    if (/\.[cm]?[jt]s$/.test(path)) continue;
    const { size } = await stat(join(root, path));
    if (size > 200 && size < maxDocumentBytes) found.push(path.replaceAll("\\", "/"));
  }
  return found.sort().slice(0, maxDocuments);
}

/** Serves the documents that were found, and nothing else. */
async function serve(paths: readonly string[]) {
  const allowed = new Set(paths);
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? "/").slice(1));
    if (!allowed.has(path)) response.writeHead(404).end();
    else
      createReadStream(join(root, path)).pipe(response.writeHead(200, { "content-type": "text/html; charset=utf-8" }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { server, urls: paths.map((path) => `http://127.0.0.1:${port}/${encodeURI(path)}`) };
}

/** The call a user would type; its progress and logs go to this terminal. */
async function map(input: string, output: string): Promise<number> {
  const words = join(root, "examples/word-counts/words.ts#wordCounts");
  const args = [
    "map",
    words,
    "--input",
    input,
    "--output",
    output,
    "--replicas",
    String(replicas),
    "--concurrency",
    String(concurrency),
  ];
  process.stderr.write(
    `$ farcall ${args.map((arg) => (arg.startsWith(root) ? relative(root, arg) : arg)).join(" ")}\n`,
  );
  const child = spawn(process.execPath, [join(root, "dist/cli.js"), ...args], { cwd: root, stdio: "inherit" });
  process.on("SIGINT", () => undefined);
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

async function commonestWords(file: string): Promise<[string, number][]> {
  const totals = new Map<string, number>();
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const { value } = JSON.parse(line) as { value?: Record<string, number> };
    for (const [word, count] of Object.entries(value ?? {})) totals.set(word, (totals.get(word) ?? 0) + count);
  }
  return [...totals].sort(([, a], [, b]) => b - a).slice(0, 10);
}

const wikipedia = process.argv.includes("--wikipedia");
const folder = join(root, ".cache/start");
await mkdir(folder, { recursive: true });
const inputFile = join(folder, "urls.jsonl");
const outputFile = join(folder, "results.jsonl");

const served = wikipedia ? undefined : await serve(await documents());
const urls = served?.urls ?? wikipediaPages.map((page) => `https://en.wikipedia.org/wiki/${page}`);
await writeFile(inputFile, urls.map((url) => `${JSON.stringify(url)}\n`).join(""));
process.stderr.write(
  `Counting the words of ${urls.length} documents in ${replicas} worker processes of the local cluster.\n\n`,
);

const beganAtMs = performance.now();
const status = await map(inputFile, outputFile);
const seconds = (performance.now() - beganAtMs) / 1_000;
served?.server.close();

const lines = (await readFile(outputFile, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");
if (lines.length > 0) {
  process.stdout.write("\nThe ten commonest words:\n");
  for (const [word, count] of await commonestWords(outputFile))
    process.stdout.write(`${String(count).padStart(8)}  ${word}\n`);
  process.stdout.write(
    `\n${lines.length} documents in ${seconds.toFixed(1)} s, start of the cluster included: ${(lines.length / seconds).toFixed(0)} inputs/s.\n`,
  );
  process.stdout.write(`The full results, one line each, are in ${relative(process.cwd(), outputFile)}.\n`);
}
process.exitCode = status;
