import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle, disposeBundler } from "../../runtime/bundle/bundle.ts";
import { bundleRef } from "../../runtime/client/sync.ts";
import type { Session } from "../../runtime/client/session.ts";
import { StackMapper } from "../../runtime/client/stacks.ts";
import { TestHome } from "../support/home.ts";

let home: TestHome;
let mapper: StackMapper;
let hash: string;
let entry: string;

const source = `export function outer() {
  return inner();
}
function inner() { throw new Error("x"); }
`;

beforeAll(async () => {
  home = await TestHome.create();
  const built = await bundle(await home.write("f.ts", source));
  ({ hash } = built);
  ({ entry } = built.manifest);
  const ref = bundleRef(built);
  const place = { source: { file: built.sourceFile, root: built.sourceRoot }, bundle: hash };
  mapper = new StackMapper({} as Session, place, { ref, contents: built.contents });
});
afterAll(async () => {
  await disposeBundler();
  await home[Symbol.asyncDispose]();
});

const frame = (line: number, column: number) =>
  `    at inner (file:///n/envs/e/bundles/${hash}/${entry}:${line}:${column})`;

test("a frame in a bundle becomes the line of the user's file", async () => {
  const mapped = await mapper.mapText(`Error: x\n${frame(6, 9)}`);
  expect(mapped).toMatch(new RegExp(`at inner \\(${home.project}/f\\.ts:4:\\d+\\)`));
});

test("a frame in an agent's folder with parentheses in its name is one as well", async () => {
  const odd = frame(6, 9).replace("/n/envs", "/home/me%20(old)/(farcall)/envs");
  expect(await mapper.mapText(`Error: x\n${odd}`)).toMatch(/at inner \(.*\/f\.ts:4:\d+\)$/);
});

test("frames of the worker and of Node, and what called the user's code, are left out", async () => {
  const stack = `Error: x\n${frame(6, 9)}\n    at AsyncLocalStorage.run (node:internal/async_local_storage:80:1)\n    at x (file:///d/worker.js:1:2)\n    at async Promise.all (index 0)`;
  expect((await mapper.mapText(stack)).split("\n")).toHaveLength(2);
});

test.each([
  ["another bundle", (text: string) => text.replaceAll(hash, "0".repeat(64))],
  ["a file the bundle does not have", (text: string) => text.replaceAll(entry, "nothing.js")],
  ["a path that leaves the bundle", (text: string) => text.replaceAll(entry, "../../../../etc/passwd")],
  ["a line that does not exist", (text: string) => text.replaceAll(":6:9", ":999999999:1")],
])("a frame in %s stays as it came", async (_what, change) => {
  const stack = change(`Error: x\n${frame(6, 9)}`);
  expect(await mapper.mapText(stack)).toBe(stack);
});

test("an error is mapped with its causes, once round a cycle", async () => {
  const error = new Error("a");
  error.stack = `Error: a\n${frame(6, 9)}`;
  error.cause = error;
  await mapper.map(error);
  expect(error.stack).toContain("f.ts:4:");
});

test("a stack of a million characters is mapped in no time to speak of", async () => {
  const stack = `Error: ${"at (".repeat(250_000)}\n    at ${"a".repeat(100_000)} (`;
  expect((await mapper.mapText(stack)).length).toBe(stack.length);
});
