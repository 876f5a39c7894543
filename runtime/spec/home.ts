import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { FarcallError, isDiskFull, messageOf } from "./errors.ts";

/** `FARCALL_HOME`, by default `~/.farcall`: the registry, keys, caches and run records of one user. */
export function farcallHome(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env["FARCALL_HOME"] || join(homedir(), ".farcall"));
}

/** Makes a folder that only its owner can read, and says in words why it cannot be used when it cannot. */
export function ensurePrivateFolder(folder: string): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK | constants.X_OK);
    const { uid, mode } = statSync(folder);
    const me = process.getuid?.();
    if (me !== undefined && me !== 0 && uid !== me) throw new Error("it belongs to another user");
    if (me !== undefined && (mode & 0o022) !== 0) throw new Error("others may write to it");
  } catch (cause) {
    throw new FarcallError(
      isDiskFull(cause) ? "disk.full" : "home.unusable",
      `Cannot use the folder ${folder}: ${messageOf(cause)}.`,
      { cause, hint: "Set FARCALL_HOME to a folder that you own and can write to, with free space." },
    );
  }
  return folder;
}
