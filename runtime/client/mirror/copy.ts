import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RunRecord } from "../../protocol/messages/runs.ts";
import { hasEnded } from "../../protocol/runState.ts";
import { pause } from "../loss.ts";
import type { Asking } from "../asking.ts";
import { encodePiece } from "./pieces.ts";
import type { KeptRun, MirrorStore } from "./store.ts";

const askTimeoutMs = 30_000;
/** On the disk before the folder is put in place. */
const kept = { mode: 0o600, flush: true };
const maxLooks = 20;
const betweenLooksMs = 100;
const maxSourceMapsBytes = 8 * 2 ** 20;

/** Keeps a run on this machine, if it has ended and is not kept yet. */
export async function keepRun(session: Asking, store: MirrorStore, run: string, signal?: AbortSignal): Promise<void> {
  if (store.has(run)) return;
  const record = await endedRecord(session, run, signal);
  if (!record) return;
  await store.put(run, async (folder) => {
    const cut = {
      outcomes:
        record.kind === "map" &&
        (await copied(outcomesOf(session, record, signal), join(folder, "outcomes"), store.limits.outcomesBytes)),
      log: await copied(logOf(session, record, signal), join(folder, "log"), store.limits.logBytes),
    };
    // What was asked for with another cluster's map is kept with that.
    if (record.home === undefined) {
      const { value: asked, body: args } = await session.request("run.request", { run }, { signal });
      await writeFile(join(folder, "request"), encodePiece(asked, args), kept);
    }
    if (record.kind === "call") {
      const { value, body } = await session.request("run.result", { run }, { signal });
      await writeFile(join(folder, "result"), encodePiece(value, body), kept);
    } else {
      const { value } = await session.request("run.timeline", { run }, { signal, timeoutMs: askTimeoutMs });
      await writeFile(join(folder, "timeline"), encodePiece(value, empty), kept);
    }
    if (record.failed > 0 || record.state === "failed") await copySourceMaps(session, record, folder, signal);
    await writeFile(join(folder, "run.json"), JSON.stringify({ record, cut } satisfies KeptRun), kept);
  });
}

const empty = new Uint8Array();

/** Undefined for a run that has not ended. When it did is written down a moment after it has. */
async function endedRecord(
  session: Asking,
  run: string,
  signal: AbortSignal | undefined,
): Promise<RunRecord | undefined> {
  for (let looks = 1; ; looks++) {
    const { record } = (await session.request("run.get", { run }, { signal, timeoutMs: askTimeoutMs })).value;
    if (!hasEnded(record.state)) return undefined;
    if (record.endedAtMs !== null || looks === maxLooks) return record;
    await pause(betweenLooksMs, signal);
  }
}

async function* outcomesOf(
  session: Asking,
  { id: run }: RunRecord,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array[], void, undefined> {
  const asked = { run, order: "index", from: 0, follow: false } as const;
  for await (const { value, body } of session.stream("map.outcomes", asked, { signal })) yield encodePiece(value, body);
}

async function* logOf(
  session: Asking,
  { id: run }: RunRecord,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array[], void, undefined> {
  for await (const { value } of session.stream("run.logs", { run, follow: false }, { signal }))
    yield value.lines.map((line) => Buffer.from(`${JSON.stringify(line)}\n`));
}

/** True when there was too much: the file then ends before the first piece that did not fit. */
async function copied(pieces: AsyncIterable<Uint8Array[]>, path: string, maxBytes: number): Promise<boolean> {
  await using file = await open(path, "wx", kept.mode);
  let written = 0;
  for await (const piece of pieces) {
    written += piece.reduce((sum, part) => sum + part.byteLength, 0);
    if (written > maxBytes) return true;
    await file.writev(piece);
  }
  await file.sync();
  return false;
}

/** Those of the bundle that ran, so that stacks go on naming the user's files. */
async function copySourceMaps(
  session: Asking,
  { bundle: hash }: RunRecord,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { bundle } = (await session.request("bundle.get", { hash }, { signal, timeoutMs: askTimeoutMs })).value;
  await writeFile(join(folder, "bundle"), encodePiece({ bundle }, empty), kept);
  const maps = bundle.files.filter(({ path }) => path.endsWith(".map"));
  if (maps.reduce((sum, { size }) => sum + size, 0) > maxSourceMapsBytes) return;
  for (const map of maps) {
    const { body } = await session.request("file.get", { hash: map.hash }, { signal, timeoutMs: askTimeoutMs });
    await writeFile(join(folder, `file-${map.hash}`), encodePiece({}, body), kept);
  }
}
