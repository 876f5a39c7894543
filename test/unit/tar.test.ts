import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileInArchive } from "../../runtime/cluster/bootstrap/tar.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "farcall-tar-"));
  mkdirSync(join(folder, "nats-server-v1-linux-amd64"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("one file is taken out of an archive that tar made, whatever its size", () => {
  const file = join(folder, "nats-server-v1-linux-amd64/nats-server");
  for (const size of [0, 1, 511, 512, 513, 100_000]) {
    const content = randomBytes(size);
    writeFileSync(join(folder, "nats-server-v1-linux-amd64/README.md"), "# NATS\n");
    writeFileSync(file, content);
    const archive = join(folder, "a.tar.gz");
    execFileSync("tar", ["-C", folder, "-czf", archive, "nats-server-v1-linux-amd64"]);
    const found = fileInArchive(readFileSync(archive), "/nats-server");
    expect(found).toEqual(content);
    expect(fileInArchive(readFileSync(archive), "/other")).toBeUndefined();
  }
});

test("what is no archive holds nothing", () => {
  expect(fileInArchive(gzipSync(Buffer.alloc(5_000)), "/x")).toBeUndefined();
  expect(fileInArchive(gzipSync(Buffer.from("no archive".repeat(200))), "/x")).toBeUndefined();
});
