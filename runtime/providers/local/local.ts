import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, statfsSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FarcallError, type ErrorCode, isErrorCode, messageOf } from "../../spec/errors.ts";
import { ensurePrivateFolder, farcallHome } from "../../spec/home.ts";
import { isAlive } from "../../spec/processes.ts";
import { agentPaths } from "../../transport/agentPaths.ts";
import { dialUnixSocket } from "../../transport/websocket.ts";
import type { AgentLink, ConnectOptions, Provider } from "../provider.ts";
import { agentEnvironment } from "./agentEnvironment.ts";

/** This machine as a cluster of one node: its agent is started when first needed and ends itself when idle. */

const startWithinMs = 20_000;
const retryEveryMs = 8;
const lostRacePauseMs = 60;
const endWithinMs = 10_000;
const defaultIdleMs = 10 * 60_000;

export class LocalProvider implements Provider {
  readonly name = "local";
  readonly otherVersionHint = "Wait until its runs are over, or end it with `farcall down local --force`.";
  readonly #folder: string;
  readonly #idleMs: number;
  readonly #agentFile = fileURLToPath(new URL("./agent.js", import.meta.url));

  /** `home` is `FARCALL_HOME`. An agent started here ends after `idleMs` without work, by default 10 minutes. */
  constructor(home: string = farcallHome(), idleMs: number = idleFromEnvironment()) {
    this.#folder = join(home, "local");
    this.#idleMs = idleMs;
  }

  async connect({ start, signal }: ConnectOptions): Promise<AgentLink> {
    if (start) {
      ensurePrivateFolder(join(this.#folder, ".."));
      ensurePrivateFolder(this.#folder);
    }
    const deadlineMs = Date.now() + startWithinMs;
    let starting: StartingAgent | undefined;
    for (;;) {
      signal?.throwIfAborted();
      const link = await this.#dial(signal);
      if (link) return link;
      if (!start) throw new FarcallError("agent.unreachable", "No agent is running on this machine.");
      if (starting?.exited === "lost-race") {
        // Whoever has the lock is coming up or going down; either takes a moment.
        starting = undefined;
        await sleep(lostRacePauseMs);
        continue;
      }
      starting ??= this.#spawn();
      if (starting.exited === "failed") throw starting.failure();
      if (Date.now() > deadlineMs) {
        throw new FarcallError(
          "agent.start-failed",
          `The local agent did not answer within ${startWithinMs / 1000} s.`,
          {
            hint: `Its log is ${this.#logFile}.`,
          },
        );
      }
      await sleep(retryEveryMs);
    }
  }

  async ended(agentPid: number): Promise<void> {
    const deadlineMs = Date.now() + endWithinMs;
    while (isAlive(agentPid) && Date.now() < deadlineMs) await sleep(retryEveryMs);
  }

  async terminate(agentPid: number): Promise<void> {
    try {
      process.kill(agentPid, "SIGTERM");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    await this.ended(agentPid);
  }

  /** Undefined when nobody listens, or somebody who is no longer there did. */
  async #dial(signal: AbortSignal | undefined): Promise<AgentLink | undefined> {
    const paths = agentPaths(this.#folder);
    const token = await readFile(paths.token, "utf8").catch(() => undefined);
    if (token === undefined) return undefined;
    try {
      return { transport: await dialUnixSocket(paths.socket, { signal }), token, expectedBuild: this.#expectedBuild() };
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof FarcallError && error.code === "agent.unreachable") return undefined;
      throw error;
    }
  }

  #build: string | undefined;

  #expectedBuild(): string {
    this.#build ??= createHash("sha256").update(readFileSync(this.#agentFile)).digest("hex").slice(0, 12);
    return this.#build;
  }

  get #logFile(): string {
    return join(this.#folder, "agent.log");
  }

  #spawn(): StartingAgent {
    return new StartingAgent(this.#agentFile, this.#folder, this.#idleMs, this.#logFile);
  }
}

/** An agent process that may come up, or lose the race against another, or fail. */
class StartingAgent {
  exited: "lost-race" | "failed" | undefined;
  readonly #logFile: string;
  readonly #logFrom: number;
  #spawnError: Error | undefined;

  constructor(agentFile: string, folder: string, idleMs: number, logFile: string) {
    this.#logFile = logFile;
    let log: number;
    try {
      log = openSync(logFile, "a", 0o600);
      this.#logFrom = statSync(logFile).size;
    } catch (cause) {
      throw new FarcallError("home.unusable", `Cannot write to ${logFile}: ${messageOf(cause)}.`, {
        cause,
        hint: "Set FARCALL_HOME to a folder that you own and can write to, with free space.",
      });
    }
    // The agent outlives this process: a session of its own, and nothing of ours open in it.
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=16", agentFile, folder, String(idleMs)],
      {
        detached: true,
        stdio: ["ignore", log, log],
        cwd: folder,
        env: agentEnvironment(process.env, process.versions["electron"] !== undefined),
        windowsHide: true,
      },
    );
    closeSync(log);
    child.on("error", (error) => {
      this.#spawnError = error;
      this.exited = "failed";
    });
    child.on("exit", (code) => (this.exited = code === 0 ? "lost-race" : "failed"));
    child.unref();
  }

  failure(): FarcallError {
    if (this.#spawnError)
      return new FarcallError("agent.start-failed", `The local agent cannot be started: ${this.#spawnError.message}.`);
    const log = readFileSync(this.#logFile).subarray(this.#logFrom).toString("utf8").trim();
    const lastLine = log.split("\n").at(-1) ?? "";
    const { bavail } = statfsSync(dirname(this.#logFile));
    if (lastLine === "" && bavail === 0) {
      return new FarcallError("disk.full", `The local agent cannot start: the disk of ${this.#logFile} is full.`, {
        hint: "Free some space, or set FARCALL_HOME to a folder that has some.",
      });
    }
    let code: ErrorCode = "agent.start-failed";
    let message = lastLine;
    try {
      const said = JSON.parse(lastLine) as { code?: unknown; message?: unknown };
      if (isErrorCode(said.code)) code = said.code;
      message = String(said.message);
    } catch {
      // It did not get as far as saying why in its own words.
    }
    return new FarcallError(code, `The local agent cannot start: ${message || "it said nothing"}`, {
      hint: `Its log is ${this.#logFile}.`,
    });
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function idleFromEnvironment(): number {
  const text = process.env["FARCALL_IDLE_MS"];
  if (text === undefined || text === "") return defaultIdleMs;
  const idleMs = Number(text);
  if (Number.isFinite(idleMs) && idleMs >= 100) return idleMs;
  throw new FarcallError("spec.invalid", `FARCALL_IDLE_MS is ${JSON.stringify(text)}.`, {
    hint: "Give the time in milliseconds after which an idle agent ends itself, at least 100.",
  });
}
