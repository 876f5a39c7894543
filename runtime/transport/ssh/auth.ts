import { readFile } from "node:fs/promises";
import type { AnyAuthMethod, AuthenticationType, AuthHandlerMiddleware, NextAuthHandler } from "ssh2";
import ssh2 from "ssh2";
import { FarcallError, messageOf } from "../../spec/errors.ts";
import type { HostKeyQuestion } from "./hostKeys.ts";
import type { SshTarget } from "./target.ts";

/** A person who can be asked. What they say is kept in memory alone. */
export interface SshPrompter {
  /** Undefined when they do not want to say. */
  passphrase(keyFile: string, again: boolean): Promise<string | undefined>;
  password(host: string, prompt: string): Promise<string | undefined>;
  confirmHostKey(question: HostKeyQuestion): Promise<boolean>;
}

const passphraseTries = 3;
const passwordTries = 3;

interface PrivateKey {
  key: Buffer;
  passphrase?: string;
}

/** Keys that were opened, by file, so that a passphrase is asked for once however many machines there are. */
const opened = new Map<string, Promise<PrivateKey | undefined>>();

/**
 * Gives ssh2 one way to authenticate after the other: the agent's keys, key files, and what a person types.
 * `tried` collects what was tried, to be told when nothing worked.
 */
export function authHandler(
  target: SshTarget,
  prompter: SshPrompter | undefined,
  tried: string[],
): AuthHandlerMiddleware {
  const ways = authWays(target, prompter, tried);
  return (left: AuthenticationType[] | null, _partial: boolean | null, next: NextAuthHandler) => {
    void (async () => {
      for (;;) {
        const way = await ways.next();
        if (way.done) return next(false as never);
        const type = way.value.type === "agent" ? "publickey" : way.value.type;
        // The first time nobody has said what is allowed.
        if (left === null || left.includes(type) || type === "none") return next(way.value);
      }
    })().catch(() => next(false as never));
  };
}

async function* authWays(
  target: SshTarget,
  prompter: SshPrompter | undefined,
  tried: string[],
): AsyncGenerator<AnyAuthMethod, void, undefined> {
  const { user: username, agentSocket, identityFiles, identitiesOnly } = target;
  // Asks what is allowed without showing a key.
  yield { type: "none", username };
  if (agentSocket !== undefined && !identitiesOnly) {
    tried.push("the keys of the ssh-agent");
    yield { type: "agent", username, agent: agentSocket };
  }
  for (const file of identityFiles) {
    const key = await openKey(file, prompter);
    if (!key) continue;
    tried.push(`the key ${file}`);
    yield { type: "publickey", username, ...key };
  }
  if (!prompter) return;
  tried.push("a password");
  const host = `${username}@${target.name.replace(/^.*@/, "")}`;
  for (let asked = 0; asked < passwordTries; asked++) {
    const password = await prompter.password(host, "Password");
    if (password === undefined) return;
    yield { type: "password", username, password };
    yield {
      type: "keyboard-interactive",
      username,
      prompt: (_name, _instructions, _language, prompts, finish) => {
        // Most servers ask for the password under this name; it was typed a moment ago.
        if (prompts.length === 1 && /password/i.test(prompts[0]!.prompt)) return finish([password]);
        void Promise.all(prompts.map(({ prompt }) => prompter.password(host, prompt))).then((answers) =>
          finish(answers.map((answer) => answer ?? "")),
        );
      },
    };
  }
}

async function openKey(file: string, prompter: SshPrompter | undefined): Promise<PrivateKey | undefined> {
  const key = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw new FarcallError("ssh.auth", `The key ${file} cannot be read: ${messageOf(error)}.`, { cause: error });
  });
  if (!key) return undefined;
  if (!needsPassphrase(key)) return { key };
  if (!prompter) return undefined;
  let opening = opened.get(file);
  if (!opening) opened.set(file, (opening = askPassphrase(file, key, prompter)));
  const found = await opening.catch(() => undefined);
  if (!found) opened.delete(file);
  return found;
}

async function askPassphrase(file: string, key: Buffer, prompter: SshPrompter): Promise<PrivateKey | undefined> {
  for (let tries = 0; tries < passphraseTries; tries++) {
    const passphrase = await prompter.passphrase(file, tries > 0);
    if (passphrase === undefined) return undefined;
    if (!(ssh2.utils.parseKey(key, passphrase) instanceof Error)) return { key, passphrase };
  }
  return undefined;
}

function needsPassphrase(key: Buffer): boolean {
  const parsed = ssh2.utils.parseKey(key);
  return parsed instanceof Error && /passphrase|encrypted/i.test(parsed.message);
}
