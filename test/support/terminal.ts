import { spawn } from "node:child_process";
import { join } from "node:path";
import { type CliResult, outcomeOf, type TestHome } from "./home.ts";

/** The command line as users run it. */
export const cliFile = join(import.meta.dirname, "../../dist/cli.js");

/**
 * Runs the command line on a pseudo-terminal of Linux; what it shows there comes as standard output. `redirect` is
 * shell text behind the command, such as `> file`.
 */
export function onTerminal(
  home: TestHome,
  args: readonly string[],
  options: { env?: Record<string, string>; redirect?: string } = {},
): Promise<CliResult> {
  const command = [process.execPath, cliFile, ...args].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["-qec", `${command} ${options.redirect ?? ""}`, "/dev/null"], {
    cwd: home.project,
    env: { ...home.environment(options.env), TERM: "xterm-256color" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return outcomeOf(child);
}

/** What a terminal would show: every state of its last line, and its lines in the end. Anything unexpected throws. */
export function replay(raw: string): { drawn: string[]; screen: string[] } {
  const screen = [""];
  const drawn: string[] = [];
  let column = 0;
  // oxlint-disable-next-line no-control-regex -- what a terminal reads
  for (const [part] of raw.matchAll(/\u001b\[2K|\u001b\[[0-9;]*m|[\s\S]/g)) {
    const line = screen.at(-1)!;
    if (part === "\r") column = 0;
    else if (part === "\n") screen.push("");
    else if (part === "\u001b[2K") {
      drawn.push(line);
      screen[screen.length - 1] = "";
    } else if (part === "\u001b") throw new Error("A sequence that no status line needs.");
    else if (!part.startsWith("\u001b")) {
      screen[screen.length - 1] = line.slice(0, column).padEnd(column) + part + line.slice(column + 1);
      column++;
    }
  }
  return { drawn, screen };
}
