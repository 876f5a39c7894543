import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Failures } from "../../extension/panels/failures.ts";
import { framesOf, isBelow } from "../../extension/panels/frames.ts";

/** How a panel groups failures, and which places it finds in their stacks. */

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farcall-failures-"));
  await writeFile(join(folder, "f.ts"), "one\ntwo\nthree\nfour\nfive\n");
});
afterAll(() => rm(folder, { recursive: true }));

const create = () =>
  new Failures({ isOwn: (file) => file.startsWith(folder), shorten: (file) => file.replace(`${folder}/`, "") });
const thrown = (message: string, line = 1) =>
  Object.assign(new Error(message), { stack: `Error: ${message}\n    at f (${join(folder, "f.ts")}:${line}:3)` });

describe("groups of failures", () => {
  it("keep their ids as they change places and are read again, so that a click means what was seen", () => {
    const failures = create();
    failures.add(thrown("first", 2), 0);
    failures.add(thrown("second", 4), 1);
    const seen = failures.groups;
    failures.add(thrown("second", 4), 2);
    expect(failures.groups.map(({ title }) => title)).toEqual(["Error: second", "Error: first"]);
    expect(seen.map(({ id }) => failures.placeOf(id, 0)?.line)).toEqual([2, 4]);
    failures.clear();
    expect(failures.placeOf(seen[0]!.id, 0)).toBeUndefined();
    failures.add(thrown("second", 4), 1);
    failures.add(thrown("first", 2), 0);
    expect(seen.map(({ id }) => failures.placeOf(id, 0)?.line)).toEqual([2, 4]);
  });

  it("gather messages that differ in numbers and quoted texts, but not by their apostrophes", () => {
    const failures = create();
    for (const message of ["no 'a' in 1", "no 'b' in 22", 'no "c" in 3.5', "no `d` in 4"])
      failures.add(thrown(message), 0);
    expect(failures.groups).toHaveLength(1);
    for (const message of [
      "can't read, it isn't there",
      "can't write, it isn't there",
      "the dogs' and cats' food",
      "the dogs' or cats' food",
    ])
      failures.add(thrown(message), 0);
    expect(failures.groups).toHaveLength(5);
  });

  it("are counted when they are too many to be shown", () => {
    const failures = create();
    const word = (i: number) => String.fromCodePoint(0x4e00 + i);
    for (let i = 0; i < 250; i++) failures.add(thrown(word(i)), i);
    expect([failures.groups.length, failures.others, failures.read]).toEqual([200, 50, 250]);
    failures.add(thrown(word(3)), 3);
    expect(failures.others).toBe(50);
    failures.clear();
    expect(failures.others).toBe(0);
  });

  it("say what their errors gather and what caused them", () => {
    const failures = create();
    const members = Array.from({ length: 12 }, (_, i) => new RangeError(`member ${i}`));
    const error = new AggregateError(members, "all failed", { cause: new Error("why", { cause: { code: 7 } }) });
    failures.add(Object.assign(error, { hint: "try less" }), 0);
    const { details } = failures.groups[0]!;
    expect(details[0]).toEqual({ kind: "hint", text: "try less" });
    expect(details.slice(1, 11).map(({ text }) => text)).toEqual(
      Array.from({ length: 10 }, (_, i) => `RangeError: member ${i}`),
    );
    expect(details.slice(11)).toEqual([
      { kind: "further", text: "2" },
      { kind: "cause", text: "Error: why" },
      { kind: "cause", text: "{ code: 7 }" },
    ]);
  });

  it("show lines of files of the user's, and open nothing else", () => {
    const failures = create();
    failures.add(thrown("own", 3), 0);
    const other = Object.assign(new Error("other"), { stack: "Error: other\n    at f (/etc/hosts:1:1)" });
    failures.add(other, 1);
    const [own, foreign] = failures.groups;
    expect(own!.frames).toEqual([{ name: "f", place: "f.ts:3:3", opens: true }]);
    expect(own!.code.map(({ text, marked }) => (marked ? `> ${text}` : text))).toEqual([
      "one",
      "two",
      "> three",
      "four",
      "five",
    ]);
    expect(foreign).toMatchObject({ frames: [{ opens: false }], code: [] });
    expect(failures.placeOf(foreign!.id, 0)).toBeUndefined();
    expect(failures.firstPlace).toMatchObject({ at: { line: 3 }, message: "Error: own" });
  });
});

describe("the frames of a stack", () => {
  it.each([
    ["at f (/p/app/(group)/page.ts:3:5)", "f", "/p/app/(group)/page.ts", 3],
    ["at /p/app/(group)/[id]/page.ts:3:5", "", "/p/app/(group)/[id]/page.ts", 3],
    ["at async Promise.all (/p/a (copy) (2).ts:1:1)", "async Promise.all", "/p/a (copy) (2).ts", 1],
    ["at async /p/f.ts:12:1", "", "/p/f.ts", 12],
    ["at Object.get [as x] (/p/f.ts:1:1)", "Object.get [as x]", "/p/f.ts", 1],
    ["at new Page (C:\\me (old)\\f.ts:7:1)", "new Page", "C:\\me (old)\\f.ts", 7],
    ["at C:\\me\\f.ts:7:1", "", "C:\\me\\f.ts", 7],
  ])("finds the place in %s", (line, name, file, at) => {
    expect(framesOf(`Error: x\n    ${line}`)).toMatchObject([{ name, at: { file, line: at } }]);
  });

  it("may be below the folder of a source, which is never a whole disk", () => {
    expect(isBelow("/p", "/p/a/f.ts")).toBe(true);
    expect(isBelow("/p", "/p/..f.ts")).toBe(true);
    for (const [folder, file] of [
      ["/p", "/pq/f.ts"],
      ["/p", "/p"],
      ["/p", "/p/../q.ts"],
      ["/", "/etc/hosts"],
    ] as const)
      expect(isBelow(folder, file), file).toBe(false);
  });

  it("leaves what names no file as it stands", () => {
    const stack =
      "Error: at (/x:1:1)\n    at native\n    at f (node:fs:1:2)\n    at eval (eval at x (/p/f.ts:1:1), <anonymous>:1:1)";
    expect(framesOf(stack).map(({ text, at }) => [text, at])).toEqual([
      ["native", undefined],
      ["f (node:fs:1:2)", undefined],
      ["eval (eval at x (/p/f.ts:1:1), <anonymous>:1:1)", undefined],
    ]);
  });
});
