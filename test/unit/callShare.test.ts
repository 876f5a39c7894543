import { expect, it } from "vitest";
import { Calls } from "../../runtime/agent/calls.ts";
import { LiveCall } from "../../runtime/agent/liveCall.ts";
import { Pool } from "../../runtime/agent/pool.ts";
import type { ModuleRef } from "../../runtime/protocol/messages/code.ts";
import { resolveEnv } from "../../runtime/spec/env.ts";

const install = { dependencies: {}, overrides: {}, integrity: {}, allowScripts: false };
const module: ModuleRef = {
  bundle: { hash: "0".repeat(64), entry: "f.js", commonJs: false, files: [] },
  env: resolveEnv({ name: "default" }, install),
  source: { file: "/f.ts", root: "/" },
};
const caller = {
  body: new Uint8Array(),
  signal: new AbortController().signal,
  cancellation: { aborted: false, reason: undefined, addEventListener: () => {}, removeEventListener: () => {} },
  send: () => Promise.resolve(),
};

it("a call that was sent to a node gets a replica there, also when the node is to have none by now", () => {
  let spawned = 0;
  const pool = new Pool("key", module, "/", {
    share: () => 0,
    spawn: () => {
      spawned++;
      return new Promise(() => undefined);
    },
    onLoaded: () => undefined,
    onDeath: () => undefined,
  });
  const params = { run: "r1", module: "key", export: "f" };
  void new Calls(pool).run(new LiveCall(params, module, caller), () => "/log");
  expect(spawned).toBe(1);
});
