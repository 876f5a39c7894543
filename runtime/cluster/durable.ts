import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { FarcallError, isDiskFull, messageOf } from "../spec/errors.ts";

/** Puts a file in place whole, readable by its owner alone, so that it is there after a power cut. */
export function writeDurably(file: string, text: string): void {
  const aside = `${file}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    const descriptor = openSync(aside, "wx", 0o600);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(aside, file);
    if (process.platform === "win32") return;
    const folder = openSync(dirname(file), "r");
    fsyncSync(folder);
    closeSync(folder);
  } catch (cause) {
    rmSync(aside, { force: true });
    throw new FarcallError(
      isDiskFull(cause) ? "disk.full" : "home.unusable",
      `Cannot write ${file}: ${messageOf(cause)}.`,
      {
        cause,
        hint: "Set FARCALL_HOME to a folder that you own and can write to, with free space.",
      },
    );
  }
}
