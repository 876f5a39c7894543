import type { AnyAuthMethod, AuthenticationType, AuthHandlerMiddleware, NextAuthHandler } from "ssh2";
import type { HostKeyQuestion } from "./hostKeys.ts";
import type { PassphrasePrompter } from "./keyFiles.ts";
import { KeyRing } from "./keyRing.ts";
import type { SshTarget } from "./target.ts";

/** A person who can be asked. What they say is kept in memory alone. */
export interface SshPrompter extends PassphrasePrompter {
  /** Undefined when they do not want to say. `prompt` is the host's own words, or `Password`. */
  password(host: string, prompt: string): Promise<string | undefined>;
  confirmHostKey(question: HostKeyQuestion): Promise<boolean>;
}

const passwordTries = 3;

/**
 * Gives ssh2 one way to authenticate after the other: keys, and what a person types where the host takes that.
 * `tried` collects what was tried, to be told when nothing worked.
 */
export function authHandler(
  target: SshTarget,
  prompter: SshPrompter | undefined,
  tried: string[],
): AuthHandlerMiddleware {
  let allowed: readonly AuthenticationType[] = [];
  const ways = authWays(target, prompter, tried, () => allowed);
  return (left: AuthenticationType[] | null, _partial: boolean | null, next: NextAuthHandler) => {
    allowed = left ?? [];
    void ways.next().then(
      (way) => next(way.done ? (false as never) : way.value),
      () => next(false as never),
    );
  };
}

async function* authWays(
  target: SshTarget,
  prompter: SshPrompter | undefined,
  tried: string[],
  allowed: () => readonly AuthenticationType[],
): AsyncGenerator<AnyAuthMethod, void, undefined> {
  const { user: username } = target;
  // Asks what is allowed without showing a key.
  yield { type: "none", username };
  if (allowed().includes("publickey")) {
    yield { type: "agent", username, agent: new KeyRing(target, prompter, tried) };
    // ssh2 does not tell what a key left to do: a host may want a key and a password.
    if (prompter) yield { type: "none", username };
  }
  if (prompter) yield* typedWays(target, prompter, tried, allowed);
}

async function* typedWays(
  { user: username, name }: SshTarget,
  prompter: SshPrompter,
  tried: string[],
  allowed: () => readonly AuthenticationType[],
): AsyncGenerator<AnyAuthMethod, void, undefined> {
  const host = `${username}@${name.replace(/^.*@/, "")}`;
  let interactive = true;
  for (let asked = 0; asked < passwordTries;) {
    if (interactive && allowed().includes("keyboard-interactive")) {
      let prompted = 0;
      let stopped = false;
      yield {
        type: "keyboard-interactive",
        username,
        prompt: (_name, _instructions, _language, prompts, finish) => {
          prompted += prompts.length;
          void (async () => {
            const answers: string[] = [];
            for (const { prompt } of prompts) {
              const answer = stopped ? undefined : await prompter.password(host, prompt.replace(/:?\s*$/, ""));
              stopped ||= answer === undefined;
              answers.push(answer ?? "");
            }
            finish(answers);
          })().catch(() => finish([]));
        },
      };
      if (stopped) return;
      // A host may offer this and have nothing to ask.
      if (prompted === 0) interactive = false;
      else if (asked++ === 0) tried.push("what was typed");
    } else if (allowed().includes("password")) {
      const password = await prompter.password(host, "Password");
      if (password === undefined) return;
      if (asked++ === 0) tried.push("a password");
      yield { type: "password", username, password };
    } else return;
  }
}
