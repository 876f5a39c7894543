import { createHash } from "node:crypto";
import { lstat, mkdtemp, readdir, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileStore } from "../../runtime/agent/files.ts";
import type { BundleRef } from "../../runtime/protocol/messages/code.ts";

let folder: string;
let store: FileStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farcall-files-"));
  store = new FileStore(join(folder, "files"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");

async function bundleOf(files: Record<string, string>): Promise<BundleRef> {
  for (const text of Object.values(files)) await store.put(hashOf(text), Buffer.from(text));
  return {
    hash: hashOf(JSON.stringify(files)),
    entry: "entry.js",
    commonJs: false,
    files: Object.entries(files).map(([path, text]) => ({ path, hash: hashOf(text), size: text.length })),
  };
}

describe("a file store", () => {
  test("knows what it lacks, keeps what it is given, and gives it back", async () => {
    const [a, b] = [hashOf("a"), hashOf("b")];
    expect(await store.missing([a, b, a])).toEqual([a, b]);
    await store.put(a, Buffer.from("a"));
    expect(await store.missing([a, b])).toEqual([b]);
    expect(Buffer.from(await store.get(a)).toString()).toBe("a");
    expect(await new FileStore(join(folder, "files")).missing([a, b])).toEqual([b]);
  });

  test("refuses content that is not what its hash says, and keeps nothing of it", async () => {
    await expect(store.put(hashOf("a"), Buffer.from("b"))).rejects.toMatchObject({ code: "protocol.invalid" });
    expect(await store.missing([hashOf("a")])).toEqual([hashOf("a")]);
  });

  test("lays a bundle out once, and third-party code where other bundles with the same find it", async () => {
    const first = await store.place(
      await bundleOf({ "entry.js": "1", "vendor/a.js": "v", "src/node_modules/p/x.txt": "x" }),
      folder,
    );
    const second = await store.place(
      await bundleOf({ "entry.js": "2", "vendor/a.js": "v", "src/node_modules/p/x.txt": "x" }),
      folder,
    );
    expect(await readFile(join(second, "entry.js"), "utf8")).toBe("2");
    expect(await readFile(join(second, "vendor/a.js"), "utf8")).toBe("v");
    expect(await realpath(join(first, "vendor/a.js"))).toBe(await realpath(join(second, "vendor/a.js")));
    expect((await lstat(join(first, "vendor"))).isSymbolicLink()).toBe(true);
    expect(await readFile(join(await realpath(join(first, "vendor")), "../src/node_modules/p/x.txt"), "utf8")).toBe(
      "x",
    );
  });

  test("lays the same bundle out for many at once", async () => {
    const bundle = await bundleOf({ "entry.js": "1", "vendor/a.js": "v" });
    const folders = await Promise.all(Array.from({ length: 8 }, () => store.place(bundle, folder)));
    expect(new Set(folders).size).toBe(1);
    expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test.each(["../out.js", "/etc/x", "a/../../b", "", "a\0b", "a\\b", "C:/x", "vendor/../../x"])(
    "refuses a file at %j",
    async (path) => {
      await expect(store.place(await bundleOf({ [path]: "1" }), join(folder, "bundles"))).rejects.toMatchObject({
        code: "protocol.invalid",
      });
      expect(await readdir(join(folder, "bundles")).catch(() => [])).toEqual([]);
    },
  );

  test("refuses a bundle with a file that was not sent", async () => {
    const bundle = await bundleOf({ "entry.js": "1" });
    const missing = { ...bundle, files: [...bundle.files, { path: "b.js", hash: hashOf("b"), size: 1 }] };
    await expect(store.place(missing, folder)).rejects.toMatchObject({ code: "protocol.invalid" });
  });
});
