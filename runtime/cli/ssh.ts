import { Cluster } from "../cluster/cluster.ts";
import { FarcallError } from "../spec/errors.ts";
import type { Invocation } from "./main.ts";
import { asked } from "./options.ts";

/** `farcall ssh`: a shell on a node, over the same way, keys and checks as everything else. */
export async function sshCommand({ words, signal }: Invocation): Promise<number> {
  const [name, number = "1", ...rest] = words;
  if (name === undefined || rest.length > 0 || !/^\d+$/.test(number))
    throw new FarcallError("usage", "A cluster and the number of a node are needed.", {
      hint: "Usage: farcall ssh NAME [NODE]",
    });
  if (name === "local") throw new FarcallError("usage", "The cluster `local` is this machine: you are there.");
  await using cluster = new Cluster(name, { logs: "ignore", ...asked() });
  const { stdin, stdout } = process;
  const terminal = { term: process.env["TERM"] ?? "xterm", columns: stdout.columns, rows: stdout.rows };
  const shell = await cluster.shell(Number(number), stdin.isTTY ? terminal : undefined, signal);
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
