import type { Bundle } from "../bundle/bundle.ts";
import type { BundleRef } from "../protocol/messages/code.ts";
import type { Session } from "./session.ts";

/** What became of a bundle when it met an agent. */
type SyncState =
  /** The agent had all of it. */
  | "reused"
  /** Some of its files were new. */
  | "updated"
  /** All were. */
  | "new";

export interface SyncResult {
  state: SyncState;
  sentFiles: number;
  sentBytes: number;
}

const putTimeoutMs = 10 * 60_000;
const askTimeoutMs = 30_000;

export function bundleRef(bundle: Bundle): BundleRef {
  const { entry, commonJs, files } = bundle.manifest;
  return { hash: bundle.hash, entry, commonJs, files: files.map(({ path, hash, size }) => ({ path, hash, size })) };
}

/** Sends the files of a bundle that the agent does not have. `onMissing` is told how many those are. */
export async function sync(
  session: Session,
  hashes: readonly string[],
  read: (hash: string) => Uint8Array | undefined | Promise<Uint8Array>,
  { signal, onMissing }: { signal?: AbortSignal | undefined; onMissing?: (files: number) => void } = {},
): Promise<SyncResult> {
  const { value } = await session.request(
    "files.missing",
    { hashes: [...hashes] },
    { signal, timeoutMs: askTimeoutMs },
  );
  onMissing?.(value.missing.length);
  let sentBytes = 0;
  await Promise.all(
    value.missing.map(async (hash) => {
      const body = await read(hash);
      if (!body) return;
      sentBytes += body.byteLength;
      await session.request("file.put", { hash }, { body, signal, timeoutMs: putTimeoutMs });
    }),
  );
  const sentFiles = value.missing.length;
  const state = sentFiles === 0 ? "reused" : sentFiles < hashes.length ? "updated" : "new";
  return { state, sentFiles, sentBytes };
}
