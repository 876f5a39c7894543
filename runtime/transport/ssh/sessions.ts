/**
 * How many commands run on a machine at once. sshd allows ten sessions over one connection (`MaxSessions`) and refuses
 * the next; streams to sockets are no sessions. So a command waits until one of those before it has ended. A shell does
 * not wait, as it may be open for hours: it takes the place of a command.
 */
const mostAtOnce = 8;

export class Sessions {
  #shells = 0;
  #commands = 0;
  readonly #line: (() => void)[] = [];

  /** Resolves with what gives the place back, or rejects with the signal's reason. */
  async forCommand(signal: AbortSignal | undefined): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#hasRoom) this.#commands++;
    else await this.#turn(signal);
    return once(() => {
      this.#commands--;
      this.#next();
    });
  }

  forShell(): () => void {
    this.#shells++;
    return once(() => {
      this.#shells--;
      this.#next();
    });
  }

  /** One command may always run: if that is too many, sshd says so. */
  get #hasRoom(): boolean {
    return this.#commands === 0 || this.#commands + this.#shells < mostAtOnce;
  }

  #next(): void {
    if (this.#hasRoom) this.#line.shift()?.();
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = () => {
        this.#commands++;
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      const abort = () => {
        this.#line.splice(this.#line.indexOf(turn), 1);
        reject(signal?.reason as Error);
      };
      this.#line.push(turn);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}
