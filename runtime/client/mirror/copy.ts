import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RunRecord } from "../../protocol/messages.ts";
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
        record.kind === "map" && (await copyOutcomes(session, record, folder, store.limits.outcomesBytes, signal)),
      log: await copyLog(session, record, folder, store.limits.logBytes, signal),
    };
    const { value: asked, body: args } = await session.request("run.request", { run }, { signal });
    await writeFile(join(folder, "request"), encodePiece(asked, args), kept);
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

export function isOver({ state }: RunRecord): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}

/** Undefined for a run that has not ended. When it did is written down a moment after it has. */
async function endedRecord(
  session: Asking,
  run: string,
  signal: AbortSignal | undefined,
): Promise<RunRecord | undefined> {
  for (let looks = 1; ; looks++) {
    const { record } = (await session.request("run.get", { run }, { signal, timeoutMs: askTimeoutMs })).value;
    if (!isOver(record)) return undefined;
    if (record.endedAtMs !== null || looks === maxLooks) return record;
    await pause(betweenLooksMs, signal);
  }
}

/** True when there were too many. */
async function copyOutcomes(
  session: Asking,
  { id: run }: RunRecord,
  folder: string,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  await using file = await open(join(folder, "outcomes"), "wx", 0o600);
  let written = 0;
  const asked = { run, order: "index", from: 0, follow: false } as const;
  for await (const { value, body } of session.stream("map.outcomes", asked, { signal })) {
    written += body.byteLength;
    if (written > maxBytes) return true;
    await file.writev(encodePiece(value, body));
  }
  await file.sync();
  return false;
}

async function copyLog(
  session: Asking,
  { id: run }: RunRecord,
  folder: string,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  await using file = await open(join(folder, "log"), "wx", 0o600);
  let written = 0;
  for await (const { value } of session.stream("run.logs", { run, follow: false }, { signal })) {
    const text = value.lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    written += Buffer.byteLength(text);
    if (written > maxBytes) return true;
    await file.write(text);
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
