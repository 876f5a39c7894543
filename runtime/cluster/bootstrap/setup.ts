import type { AgentAddress, SetupAnswer, SetupRequest, SetupTarget } from "../../setup/messages.ts";
import { FarcallError, isErrorCode } from "../../spec/errors.ts";
import type { SshConnection } from "../../transport/ssh/connection.ts";
import { nodeBuild, type SetupContent } from "./build.ts";
import { addressCommand, removeCommand, setupCommand } from "./commands.ts";
import type { ServerContent } from "./natsServer.ts";

const setupTimeoutMs = 5 * 60_000;
const askTimeoutMs = 20_000;
const answerMark = "\nfarcall-setup ";
/** What is said of a running agent, whose token is 64 characters and whose socket is a path. */
const maxAddressBytes = 8 * 1024;

/** A request, with the files themselves. */
export type Placing = Omit<SetupRequest, "build" | "server"> & { build?: SetupContent[]; server?: ServerContent };

export interface SetupOptions {
  id: string;
  nodePath: string;
  signal?: AbortSignal | undefined;
  /** Whether a node that gets through to nobody could be relayed instead. */
  mayRelay?: boolean;
}

/**
 * Runs the set-up program on a machine: puts files in place, starts the agent, or both. `ending` is the token of an agent
 * that ran there and ends, to come up as what was put in place.
 */
export async function setUp(
  connection: SshConnection,
  request: Placing,
  options: SetupOptions,
): Promise<{ agent?: AgentAddress; ending?: string | undefined }> {
  return ask(connection, request, options);
}

/** Which of `dial` the machine does not get through to while others do the same; see `SetupRequest`. */
export async function surveyFrom(
  connection: SshConnection,
  survey: NonNullable<SetupRequest["survey"]>,
  options: SetupOptions,
): Promise<SetupTarget[]> {
  return (await ask(connection, { survey }, options)).missing ?? [];
}

async function ask(
  connection: SshConnection,
  request: Placing,
  { id, nodePath, signal, mayRelay }: SetupOptions,
): Promise<SetupAnswer & { ok: true }> {
  const { build: files = [], server, ...rest } = request;
  const { hash, program } = nodeBuild();
  const full: SetupRequest = {
    ...rest,
    ...(files.length > 0 ? { build: { hash, files: files.map(({ file }) => file) } } : {}),
    ...(server ? { server: { ...server.file, mark: server.mark } } : {}),
  };
  const input = Buffer.concat([
    Buffer.from(`${id}\n${nodePath}\n${program}\n${JSON.stringify(full)}\n`),
    ...files.map(({ content }) => content),
    ...(server ? [server.content] : []),
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
  if (answer.ok) return answer;
  if (answer.code === "node.unreachable") throw unreachable(host, answer.message, mayRelay ?? false);
  const code = isErrorCode(answer.code) ? answer.code : "node.install-failed";
  throw new FarcallError(code, `Setting up ${host} failed: ${answer.message}`, {
    hint:
      code === "disk.full"
        ? "Free some space there."
        : `The agent's log is agent.log in ${rest.start ? "the cluster's folder there" : "its folder"}.`,
  });
}

/** What to open, from lines of name, address and port. */
function unreachable(host: string, lines: string, mayRelay: boolean): FarcallError {
  const places = lines.split("\n").map((line) => {
    const [name = "", address = "", port = ""] = line.split(" ");
    return `${name} (${address}, port ${port})`;
  });
  return new FarcallError(
    "node.unreachable",
    `${host} does not get through to ${places.join(" and ")}, where the queue of the cluster is.`,
    {
      hint: `Open ${places.length === 1 ? "this port" : "these ports"} for ${host}, or list hosts by addresses that the others can reach${
        mayRelay
          ? ". With --relay its traffic goes through this client, while that is there."
          : ". A node that holds the queue cannot be relayed."
      }`,
    },
  );
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
