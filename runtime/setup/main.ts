/**
 * The set-up program of a node: what a client runs there over SSH before there is an agent to talk to. It reads one
 * request and the files that come with it from standard input, and answers with one line of JSON on standard output.
 *
 * It is sent whole with each request, so there is no older version of it anywhere, and it has no packages.
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { failureOf, SetupFailure } from "./failure.ts";
import { Input } from "./input.ts";
import type { SetupAnswer, SetupRequest } from "./messages.ts";
import { startAgent } from "./start.ts";

async function main(folder: string): Promise<SetupAnswer> {
  process.umask(0o077);
  const input = new Input(process.stdin);
  const request = JSON.parse((await input.line()).toString("utf8")) as SetupRequest;
  claim(dirname(folder));
  claim(folder);
  if (request.build) await install(folder, request.build, input);
  if (request.cluster) writeWhole(join(folder, "cluster.json"), JSON.stringify(request.cluster));
  if (request.node) writeWhole(join(folder, "node.json"), JSON.stringify(request.node));
  if (!request.start) return { ok: true };
  return { ok: true, agent: await startAgent(folder, request.start) };
}

/** Makes a folder and marks it as Farcall's, so that what removes it later can tell. */
function claim(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const mark = join(folder, "owner");
  if (existsSync(mark)) return;
  if (readdirSync(folder).length > 0)
    throw new SetupFailure("node.install-failed", `The folder ${folder} is there already and not Farcall's.`);
  writeFileSync(mark, "farcall\n", { mode: 0o600 });
}

/** Puts the files of a build into a folder of its own, whole or not at all. */
async function install(
  folder: string,
  { hash, files }: NonNullable<SetupRequest["build"]>,
  input: Input,
): Promise<void> {
  const builds = join(folder, "builds");
  mkdirSync(builds, { recursive: true, mode: 0o700 });
  const aside = join(builds, `${hash}.${process.pid}.tmp`);
  rmSync(aside, { recursive: true, force: true });
  mkdirSync(aside, { mode: 0o700 });
  try {
    for (const { name, sizeBytes, sha256, mode } of files) {
      const file = join(aside, name);
      const digest = createHash("sha256");
      const descriptor = openSync(file, "wx", 0o600);
      try {
        for await (const part of input.bytes(sizeBytes)) {
          digest.update(part);
          writeSync(descriptor, part);
        }
      } finally {
        closeSync(descriptor);
      }
      if (digest.digest("hex") !== sha256)
        throw new SetupFailure("node.install-failed", `The file ${name} arrived damaged.`);
      chmodSync(file, mode);
    }
    const place = join(builds, hash);
    if (!existsSync(place)) renameSync(aside, place);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  const running = readRunning(folder);
  writeWhole(join(folder, "build"), hash);
  for (const other of readdirSync(builds)) {
    // A running agent starts its workers from the files it came with.
    if (other !== hash && other !== running) rmSync(join(builds, other), { recursive: true, force: true });
  }
}

function readRunning(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, "build"), "utf8").trim();
  } catch {
    return undefined;
  }
}

function writeWhole(file: string, text: string): void {
  const aside = `${file}.${process.pid}.tmp`;
  writeFileSync(aside, text, { mode: 0o600 });
  renameSync(aside, file);
}

const folder = process.argv.at(-1)!;
void main(folder)
  .catch((error: unknown): SetupAnswer => ({ ok: false, ...failureOf(error) }))
  .then((answer) => {
    process.stdout.write(`\nfarcall-setup ${JSON.stringify(answer)}\n`, () => process.exit(0));
  });
