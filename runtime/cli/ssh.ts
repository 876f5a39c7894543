import { join } from "node:path";
import { Connections } from "../cluster/connections.ts";
import { Registry } from "../cluster/registry.ts";
import { FarcallError } from "../spec/errors.ts";
import { farcallHome } from "../spec/home.ts";
import type { Invocation } from "./main.ts";
import { terminalPrompter } from "./prompt.ts";

/** `farcall ssh`: a shell on a node, over the same way, keys and checks as everything else. */
export async function sshCommand({ words, signal }: Invocation): Promise<number> {
  const [name, number = "1", ...rest] = words;
  if (name === undefined || rest.length > 0 || !/^\d+$/.test(number))
    throw new FarcallError("usage", "A cluster and the number of a node are needed.", {
      hint: "Usage: farcall ssh NAME [NODE]",
    });
  if (name === "local") throw new FarcallError("usage", "The cluster `local` is this machine: you are there.");
  const home = farcallHome();
  const { nodes } = new Registry(home).need(name);
  const node = nodes.find((each) => each.number === Number(number));
  if (!node) {
    throw new FarcallError("usage", `${name} has no node ${number}.`, {
      hint: `It has ${nodes.map((each) => `${each.number} (${each.host})`).join(", ")}.`,
    });
  }
  await using connections = new Connections(join(home), terminalPrompter());
  const connection = await connections.to(node.host, signal);
  const { stdin, stdout } = process;
  const shell = await connection.shell(
    stdin.isTTY ? { term: process.env["TERM"] ?? "xterm", columns: stdout.columns, rows: stdout.rows } : undefined,
  );
  const resize = () => shell.resize(stdout.columns, stdout.rows);
  stdout.on("resize", resize);
  if (stdin.isTTY) stdin.setRawMode(true);
  try {
    stdin.pipe(shell.stream);
    shell.stream.pipe(stdout, { end: false });
    return await shell.ended;
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.unpipe(shell.stream);
    stdin.pause();
    stdout.off("resize", resize);
  }
}
