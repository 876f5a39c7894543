import { callMethods } from "./calls.ts";
import type { Catalogue } from "./catalogue.ts";
import { codeMethods } from "./code.ts";
import { envMethods } from "./envs.ts";
import { logMethods } from "./logs.ts";
import { mapMethods } from "./maps.ts";
import { nodeMethods } from "./nodes.ts";
import { runMethods } from "./runs.ts";
import { sessionMethods } from "./session.ts";
import { guestMethods, workMethods } from "./work.ts";

/** What a client, or another node, may ask of an agent. */
export const agentMethods = {
  ...sessionMethods,
  ...nodeMethods,
  ...codeMethods,
  ...callMethods,
  ...mapMethods,
  ...workMethods,
  ...guestMethods,
  ...runMethods,
  ...logMethods,
  ...envMethods,
} as const satisfies Catalogue;

export type AgentMethods = typeof agentMethods;
