import { join } from "node:path";
import * as vscode from "vscode";
import type { Farcall } from "../farcall.ts";
import { posixQuoted } from "../runs/posixQuoted.ts";

/** A terminal in which `farcall` is there, whether or not a Node is installed. */
export async function openLocalTerminal(farcall: Farcall, cluster: string): Promise<void> {
  const cli = vscode.Uri.joinPath(farcall.context.extensionUri, "dist", "cli.js").fsPath;
  const bin = vscode.Uri.joinPath(farcall.context.globalStorageUri, "bin");
  await vscode.workspace.fs.createDirectory(bin);
  const windows = process.platform === "win32";
  const script = windows
    ? `@set ELECTRON_RUN_AS_NODE=1\r\n@"${process.execPath}" "${cli}" %*\r\n`
    : `#!/bin/sh\nELECTRON_RUN_AS_NODE=1 exec ${posixQuoted(process.execPath)} ${posixQuoted(cli)} "$@"\n`;
  const { chmod, writeFile } = await import("node:fs/promises");
  const file = join(bin.fsPath, windows ? "farcall.cmd" : "farcall");
  await writeFile(file, script);
  if (!windows) await chmod(file, 0o755);
  const terminal = vscode.window.createTerminal({
    name: `farcall: ${cluster}`,
    iconPath: new vscode.ThemeIcon("server-process"),
    env: {
      PATH: `${bin.fsPath}${windows ? ";" : ":"}${process.env["PATH"] ?? ""}`,
      FARCALL_HOME: farcall.home,
    },
    message: vscode.l10n.t("`farcall --help` lists what can be done here."),
  });
  terminal.show();
}
