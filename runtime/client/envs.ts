import type { EnvStatus } from "../protocol/messages/envs.ts";
import type { Session } from "./session.ts";

const askTimeoutMs = 30_000;
/** Replicas may take some seconds to end, and large folders to remove. */
const removeTimeoutMs = 2 * 60_000;

/** The envs of a cluster, by name, as they were last used there. */
export class Envs {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** By name. With `start: false` nothing is started, and it gives undefined when the cluster is not up. */
  list(options?: { start?: true }): Promise<EnvStatus[]>;
  list(options: { start?: boolean }): Promise<EnvStatus[] | undefined>;
  async list(options: { start?: boolean } = {}): Promise<EnvStatus[] | undefined> {
    if (options.start === false && !(await this.#session.connectIfUp())) return undefined;
    const { value } = await this.#session.request("env.list", {}, { timeoutMs: askTimeoutMs });
    return value.envs;
  }

  /**
   * Ends the env's replicas and installs its packages anew. Throws `env.unknown`, `run.state` while a run uses it
   * or an env that shares its packages, or `env.install-failed`.
   */
  async rebuild(
    name: string,
    options: { onProgress?: (line: string) => void; signal?: AbortSignal } = {},
  ): Promise<void> {
    const { onProgress, signal } = options;
    const stream = this.#session.stream("env.rebuild", { name }, { signal });
    for await (const { value } of stream) onProgress?.(value.line);
  }

  /** Forgets the env, and removes its packages unless another env has the same. Throws `env.unknown` or `run.state`. */
  async remove(name: string): Promise<void> {
    await this.#session.request("env.remove", { name }, { timeoutMs: removeTimeoutMs });
  }
}
