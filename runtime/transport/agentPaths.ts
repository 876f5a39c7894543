import { createHash } from "node:crypto";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { ensurePrivateFolder } from "../spec/home.ts";

/** Where an agent that lives in a folder listens, and where its token lies. */
export interface AgentPaths {
  /** A unix socket, or on Windows the name of a pipe. */
  socket: string;
  isPipe: boolean;
  token: string;
}

/** Longest path of a unix socket: 108 bytes on Linux and 104 on macOS, the closing NUL included. */
const maxSocketPathBytes = 103;

export function agentPaths(folder: string, platform: NodeJS.Platform = process.platform): AgentPaths {
  const token = join(folder, "agent.token");
  const name = createHash("sha256").update(folder).digest("hex").slice(0, 20);
  if (platform === "win32") return { socket: `\\\\.\\pipe\\farcall-${name}`, isPipe: true, token };
  const beside = join(folder, "agent.sock");
  if (Buffer.byteLength(beside) <= maxSocketPathBytes) return { socket: beside, isPipe: false, token };
  // A folder of the user's own in the temporary one, refused when somebody else made it.
  const short = ensurePrivateFolder(join(process.env["XDG_RUNTIME_DIR"] ?? tmpdir(), `farcall-${userInfo().uid}`));
  return { socket: join(short, `${name}.sock`), isPipe: false, token };
}
