/**
 * The agent: the one Farcall process of a node. Pieces: `lock` sees that it is the only one, `agent` puts them together
 * and `lifetime` says for how long, `connection` and `serving/` answer a client, `files`, `envs` and `envRegistry` keep
 * code, `pools` and `pool` keep replicas, `calls`, `maps`, `activeMap` and `feed` bring work to them, `runs` and `logs`
 * keep the record, `reaper` ends what is left when this process dies.
 *
 * Started as `node agent.js FOLDER IDLE_MS`, with 0 for an agent that never ends by itself. Everything it keeps is below
 * FOLDER, which only its owner can read. It listens on a unix socket there (on Windows on a named pipe) and on nothing
 * else.
 */
import { join } from "node:path";
import { enableCompileCache } from "node:module";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { Agent } from "./agent.ts";
import { logFault } from "./faults.ts";

/** Exit status of an agent that found another one running in its folder. */
const notNeeded = 0;

async function main(): Promise<void> {
  const [folder, idleText] = process.argv.slice(2);
  const idleMs = Number(idleText);
  if (!folder || !Number.isFinite(idleMs))
    throw new FarcallError("usage", "An agent is started with its folder and its idle time.");
  process.umask(0o077);
  enableCompileCache(join(folder, "compile-cache"));
  const agent = await Agent.start(folder, idleMs);
  if (!agent) process.exit(notNeeded);
  // A fault in one place must not end the work of all others; what it was stands in the log.
  process.on("unhandledRejection", (error) => logFault(error));
  process.on("uncaughtException", (error) => {
    logFault(error);
    // What state is left is anybody's guess. The next agent goes on with every map.
    void agent.stop();
  });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void agent.stop());
}

main().catch((error: unknown) => {
  // The client that started this process reads the last line of its log.
  process.stderr.write(
    `${JSON.stringify({ code: error instanceof FarcallError ? error.code : "agent.start-failed", message: messageOf(error) })}\n`,
  );
  process.exit(1);
});
