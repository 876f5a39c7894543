import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { plainLine } from "../spec/text.ts";
import type { SshPrompter } from "../transport/ssh/auth.ts";

/** Asks the person at the terminal; undefined where there is none. One question at a time, on standard error. */
export function terminalPrompter(): SshPrompter | undefined {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  let asking: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(ask: () => Promise<T>): Promise<T> => {
    const answer = asking.then(ask);
    asking = answer.catch(() => undefined);
    return answer;
  };
  return {
    passphrase: (keyFile, again) =>
      inTurn(() => askHidden(`${again ? "That did not open it. " : ""}Passphrase for the key ${keyFile}: `)),
    password: (host, prompt) => inTurn(() => askHidden(`${plainLine(prompt).replace(/[:\s]*$/, "")} of ${host}: `)),
    confirmHostKey: ({ host, address, keyType, fingerprint }) =>
      inTurn(async () => {
        process.stderr.write(
          `The host ${host} (${address}) is not known yet. It shows this key:\n  ${keyType} ${fingerprint}\n` +
            "Compare it with what the machine says of itself, for example with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there.\n",
        );
        return /^y(es)?$/i.test(((await ask("Is that the machine? (yes/no) ", process.stderr)) ?? "").trim());
      }),
  };
}

/** Undefined when the person gives nothing, or input ends. */
async function askHidden(question: string): Promise<string | undefined> {
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = await ask("", silent);
  process.stderr.write("\n");
  return answer || undefined;
}

async function ask(question: string, output: NodeJS.WritableStream): Promise<string | undefined> {
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  const closed = new Promise<undefined>((resolve) => lines.once("close", () => resolve(undefined)));
  const interrupted = new Promise<undefined>((resolve) => {
    lines.once("SIGINT", () => {
      resolve(undefined);
      process.kill(process.pid, "SIGINT");
    });
  });
  try {
    return await Promise.race([lines.question(question), closed, interrupted]);
  } finally {
    lines.close();
    process.stdin.pause();
  }
}
