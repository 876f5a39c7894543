import type { AgentAddress, SetupAnswer, SetupRequest } from "../../setup/messages.ts";
import { FarcallError, isErrorCode } from "../../spec/errors.ts";
import type { SshConnection } from "../../transport/ssh/connection.ts";
import { nodeBuild } from "./build.ts";
import { addressCommand, removeCommand, setupCommand } from "./commands.ts";

const setupTimeoutMs = 5 * 60_000;
const askTimeoutMs = 20_000;
const answerMark = "\nfarcall-setup ";
/** What is said of a running agent, whose token is 64 characters and whose socket is a path. */
const maxAddressBytes = 8 * 1024;

export interface SetupOptions {
  id: string;
  nodePath: string;
  signal?: AbortSignal | undefined;
}

/** Runs the set-up program on a machine: puts files in place, starts the agent, or both. */
export async function setUp(
  connection: SshConnection,
  request: Omit<SetupRequest, "build"> & { withBuild: boolean },
  { id, nodePath, signal }: SetupOptions,
): Promise<AgentAddress | undefined> {
  const { withBuild, ...rest } = request;
  const build = nodeBuild();
  const full: SetupRequest = withBuild ? { ...rest, build: { hash: build.hash, files: build.files } } : rest;
  const input = Buffer.concat([
    Buffer.from(`${id}\n${nodePath}\n${build.program}\n${JSON.stringify(full)}\n`),
    ...(withBuild ? build.contents : []),
  ]);
  const result = await connection.run(setupCommand, { input, signal, timeoutMs: setupTimeoutMs });
  const text = result.stdout.toString("utf8");
  const from = text.lastIndexOf(answerMark);
  const host = connection.target.name;
  if (from === -1) {
    throw new FarcallError(
      "node.install-failed",
      `Setting up ${host} failed: ${(result.stderr || text).trim().slice(-500) || `it ended with ${result.status}`}`,
    );
  }
  const answer = JSON.parse(text.slice(from + answerMark.length)) as SetupAnswer;
  if (answer.ok) return answer.agent;
  const code = isErrorCode(answer.code) ? answer.code : "node.install-failed";
  throw new FarcallError(code, `Setting up ${host} failed: ${answer.message}`, {
    hint:
      code === "disk.full"
        ? "Free some space there."
        : `The agent's log is agent.log in ${rest.start ? "the cluster's folder there" : "its folder"}.`,
  });
}

/** Where the machine's agent listens, if one has been there. Whether it still does is found out by dialling. */
export async function readAddress(
  connection: SshConnection,
  id: string,
  signal?: AbortSignal,
): Promise<AgentAddress | undefined> {
  const { stdout } = await connection.run(addressCommand, {
    input: Buffer.from(`${id}\n`),
    signal,
    timeoutMs: askTimeoutMs,
    maxOutputBytes: maxAddressBytes * 8,
  });
  const text = stdout.toString("utf8");
  const line = text.slice(text.indexOf("\nfarcall-address\n")).split("\n")[2];
  if (!line) return undefined;
  try {
    const { token, socket, build } = JSON.parse(line) as Record<string, unknown>;
    if (typeof token === "string" && typeof socket === "string" && typeof build === "string")
      return { token, socket, build };
  } catch {
    // Half of a file, or none of ours.
  }
  return undefined;
}

/** Removes everything of the cluster from a machine, ending what still runs. */
export async function removeFrom(connection: SshConnection, id: string, signal?: AbortSignal): Promise<void> {
  const { stdout, stderr } = await connection.run(removeCommand, {
    input: Buffer.from(`${id}\n`),
    signal,
    timeoutMs: 60_000,
  });
  const text = stdout.toString("utf8");
  if (text.includes("farcall-removed")) return;
  throw new FarcallError(
    "node.install-failed",
    `Farcall could not be removed from ${connection.target.name}: ${(stderr || text).trim().slice(-300)}`,
  );
}
