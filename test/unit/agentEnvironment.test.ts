import { expect, test } from "vitest";
import { agentEnvironment } from "../../runtime/providers/local/agentEnvironment.ts";

const kept = { PATH: "/bin", HOME: "/home/me", FARCALL_HOME: "/farcall", VSCODEX: "1", MY_ELECTRON_X: "1" };
const dropped = {
  npm_lifecycle_event: "test",
  NODE_OPTIONS: "--inspect",
  INIT_CWD: "/",
  VITEST_WORKER_ID: "1",
  VSCODE_IPC_HOOK: "/run/x",
  ELECTRON_NO_ATTACH_CONSOLE: "1",
  ELECTRON_RUN_AS_NODE: "1",
  APPLICATION_INSIGHTS_NO_DIAGNOSTIC_CHANNEL: "1",
  APPLICATIONINSIGHTS_CONNECTION_STRING: "x",
};

test("an agent gets the environment of whoever starts it, without what is meant for that process alone", () => {
  expect(agentEnvironment({ ...kept, ...dropped }, false)).toEqual(kept);
});

test("an agent that an editor starts is told to be Node, whatever the editor itself was told", () => {
  expect(agentEnvironment({ ...kept, ...dropped }, true)).toEqual({ ...kept, ELECTRON_RUN_AS_NODE: "1" });
  expect(agentEnvironment({}, true)).toEqual({ ELECTRON_RUN_AS_NODE: "1" });
});
