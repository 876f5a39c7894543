import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { open } from "node:fs/promises";
import { encodePiece, readPlaces } from "../../runtime/client/mirror/pieces.ts";
import { MirrorStore } from "../../runtime/client/mirror/store.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "farcall-mirror-"));
});
afterEach(() => rm(home, { recursive: true }));

const write = (bytes: number) => async (folder: string) => {
  await writeFile(join(folder, "outcomes"), Buffer.alloc(bytes));
  await writeFile(join(folder, "run.json"), "{}");
};

it("keeps as much as there is room for, of all clusters together, the newest", async () => {
  const old = new MirrorStore(home, "old");
  await old.put("r-1", write(600));
  await utimes(old.file("r-1", "."), 1, 1);
  const lab = new MirrorStore(home, "lab", { totalBytes: 1_300 });
  await lab.put("r-2", write(600));
  expect([old.has("r-1"), lab.has("r-2")]).toEqual([true, true]);
  await lab.put("r-3", write(600));
  expect([old.has("r-1"), lab.has("r-2"), lab.has("r-3")]).toEqual([false, true, true]);
});

it("has a run whole or not at all, and the first one stays", async () => {
  const store = new MirrorStore(home, "lab");
  const failing = store.put("r-1", async (folder) => {
    await write(10)(folder);
    throw new Error("cut");
  });
  await expect(failing).rejects.toThrow("cut");
  expect(await readdir(join(home, "mirror/lab"))).toEqual([]);
  await Promise.all([store.put("r-1", write(10)), store.put("r-1", write(10)), store.put("r-1", write(10))]);
  expect(await readdir(join(home, "mirror/lab"))).toEqual(["r-1"]);
  const stale = join(home, "mirror/lab/.r-2.1.aa");
  await store.put("r-3", async (folder) => {
    await write(1)(folder);
    await writeFile(stale, "");
    await utimes(stale, 1, 1);
  });
  expect(existsSync(stale)).toBe(false);
});

it("reads the pieces of a file up to where it was cut off", async () => {
  const file = join(home, "pieces");
  const pieces = [1, 2, 3].map((number) => encodePiece({ number }, Buffer.alloc(number * 100)));
  await writeFile(file, Buffer.concat(pieces.flat()));
  await using whole = await open(file);
  const places = await readPlaces<{ number: number }>(whole);
  expect(places.map(({ header, bytes }) => [header.number, bytes])).toEqual([
    [1, 100],
    [2, 200],
    [3, 300],
  ]);
  await truncate(file, places[2]!.at + 10);
  expect(await readPlaces(whole)).toHaveLength(2);
});
