import type { SshConnection } from "../transport/ssh/connection.ts";
import { logCommand } from "./bootstrap/commands.ts";

const maxLogBytes = 4 * 2 ** 20;
const mark = "\nfarcall-log\n";

/** The end of the log of a node's agent, empty where it has written none. It can be read whether or not the agent lives. */
export async function readNodeLog(connection: SshConnection, id: string, signal?: AbortSignal): Promise<string> {
  const { stdout } = await connection.run(logCommand, {
    input: Buffer.from(`${id}\n`),
    signal,
    maxOutputBytes: maxLogBytes,
  });
  const text = stdout.toString("utf8");
  const at = text.indexOf(mark);
  return at < 0 ? "" : text.slice(at + mark.length);
}
