import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { createConnection } from "node:net";
import { join } from "node:path";
import { SetupFailure } from "./failure.ts";
import type { AgentAddress } from "./messages.ts";

/** The agent that runs in a folder, if one does. */
const tellWithinMs = 20_000;

/** Where an agent listens that takes connections. */
export async function answering(folder: string): Promise<AgentAddress | undefined> {
  const address = readAddress(folder);
  if (!address) return undefined;
  const takes = await new Promise<boolean>((resolve) => {
    const socket = createConnection({ path: address.socket });
    socket.on("connect", () => (socket.destroy(), resolve(true)));
    socket.on("error", () => resolve(false));
  });
  return takes ? address : undefined;
}

/**
 * Tells the agent, if one runs, that what it reads at its start has changed, and resolves when it goes by that: with its
 * token when it ends, to come up anew as what was put in place.
 */
export async function tellChanged(folder: string): Promise<string | undefined> {
  const address = readAddress(folder);
  if (!address) return undefined;
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const request = httpRequest(
    {
      socketPath: address.socket,
      method: "POST",
      path: "/changed",
      headers: { authorization: address.token },
      timeout: tellWithinMs,
    },
    (response) => {
      let said = "";
      response.setEncoding("utf8").on("data", (text: string) => (said += text));
      response.on("error", reject).on("end", () => {
        if (response.statusCode !== 500) resolve(response.statusCode === 202 ? address.token : undefined);
        else reject(new SetupFailure("agent.start-failed", said));
      });
    },
  );
  request.on("timeout", () => request.destroy());
  // Nobody is there any more, or does not answer: whoever comes next reads what has changed.
  request.on("error", () => resolve(undefined));
  request.end();
  return promise;
}

function readAddress(folder: string): AgentAddress | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "agent.address"), "utf8")) as AgentAddress;
  } catch {
    return undefined;
  }
}
