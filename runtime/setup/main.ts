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
import type { SetupAnswer, SetupFile, SetupRequest } from "./messages.ts";
import { tellChanged } from "./running.ts";
import { startAgent } from "./start.ts";
import { survey } from "./survey.ts";

async function main(folder: string): Promise<SetupAnswer> {
  process.umask(0o077);
  const input = new Input(process.stdin);
  const request = JSON.parse((await input.line()).toString("utf8")) as SetupRequest;
  if (request.survey) return { ok: true, missing: await survey(request.survey) };
  claim(dirname(folder));
  claim(folder);
  if (request.build) await install(folder, request.build, input);
  if (request.server) await installServer(folder, request.server, input);
  if (request.cluster) writeWhole(join(folder, "cluster.json"), JSON.stringify(request.cluster));
  const { node, autostop } = request;
  const hasOther = [
    request.build !== undefined,
    node !== undefined && replace(join(folder, "node.json"), JSON.stringify(node)),
    autostop !== undefined && replace(join(folder, "autostop"), String(autostop.ms)),
  ].includes(true);
  // Behind what was said: who dies in between says it again.
  if (autostop) writeWhole(join(folder, "autostop-said"), String(autostop.saidAtMs));
  const ending = (hasOther ? await tellChanged(folder) : undefined) ?? request.placed?.ending;
  if (!request.start) return { ok: true, ending };
  if (!existsSync(join(folder, "node.json")))
    throw new SetupFailure("node.install-failed", "It is not known what this node is in its cluster.");
  const changed = hasOther || request.placed !== undefined;
  return { ok: true, ending, agent: await startAgent(folder, request.start, { changed, ending }) };
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

/** Puts the server of the queue in place. One that runs keeps the file it was started from. */
async function installServer(folder: string, server: NonNullable<SetupRequest["server"]>, input: Input): Promise<void> {
  const place = join(folder, "broker");
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const aside = join(place, `${server.name}.tmp`);
  rmSync(aside, { force: true });
  await receive(aside, server, input);
  renameSync(aside, join(place, server.name));
  writeWhole(join(place, "server"), server.mark);
}

/** Writes a file that follows in the input, and checks that it arrived as it was sent. */
async function receive(file: string, { name, sizeBytes, sha256, mode }: SetupFile, input: Input): Promise<void> {
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
    for (const file of files) await receive(join(aside, file.name), file, input);
    const place = join(builds, hash);
    if (!existsSync(place)) renameSync(aside, place);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  const running = readText(join(folder, "build"));
  writeWhole(join(folder, "build"), hash);
  for (const other of readdirSync(builds)) {
    // A running agent starts its workers from the files it came with.
    if (other !== hash && other !== running) rmSync(join(builds, other), { recursive: true, force: true });
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** True when the file was another before. */
function replace(file: string, text: string): boolean {
  if (readText(file) === text) return false;
  writeWhole(file, text);
  return true;
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
