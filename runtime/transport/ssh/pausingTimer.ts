import type { SshPrompter } from "./auth.ts";

const afterAnswerMs = 1_000;

/** A deadline that stands still while a person is asked. */
export class PausingTimer {
  #leftMs: number;
  #timer: NodeJS.Timeout | undefined;
  #startedAtMs = 0;
  #act: (() => void) | undefined;
  #asking = 0;

  constructor(ms: number) {
    this.#leftMs = ms;
  }

  start(act: () => void): void {
    this.#act = act;
    this.#run(this.#leftMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#act = undefined;
  }

  whileAsking(prompter: SshPrompter): SshPrompter {
    return {
      passphrase: (keyFile, again) => this.#pause(() => prompter.passphrase(keyFile, again)),
      password: (host, prompt) => this.#pause(() => prompter.password(host, prompt)),
      confirmHostKey: (question) => this.#pause(() => prompter.confirmHostKey(question)),
    };
  }

  async #pause<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#asking++ === 0) {
      clearTimeout(this.#timer);
      this.#leftMs -= performance.now() - this.#startedAtMs;
    }
    try {
      return await ask();
    } finally {
      // However late the answer came, it is to be tried.
      if (--this.#asking === 0) this.#run(Math.max(afterAnswerMs, this.#leftMs));
    }
  }

  #run(ms: number): void {
    if (!this.#act) return;
    this.#startedAtMs = performance.now();
    this.#timer = setTimeout(this.#act, ms);
  }
}
