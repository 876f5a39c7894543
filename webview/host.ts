import * as v from "valibot";
import { toPage, type ToPage } from "./messages/toPage.ts";
import type { ToExtension } from "./messages/toExtension.ts";

/** The page's only way out: messages to and from the extension, and the little that outlives the page. */

interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}
declare function acquireVsCodeApi(): VsCodeApi;

// Asking a second time throws.
const api = acquireVsCodeApi();

export function post(message: ToExtension): void {
  api.postMessage(message);
}

type Handler = (message: ToPage) => void;
const handlers = new Set<Handler>();

/** Calls back for every message that fits its schema until the returned function is called. */
export function listen(handler: Handler): () => void {
  handlers.add(handler);
  return () => void handlers.delete(handler);
}

window.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
  const parsed = v.safeParse(toPage, data);
  if (parsed.success) {
    for (const handler of handlers) handler(parsed.output);
    return;
  }
  // What did not fit is not printed: it may be large, or anything.
  const [issue] = parsed.issues;
  console.warn(`A message was dropped: ${v.getDotPath(issue) ?? "it"} is not as agreed.`);
});

const keepAfterMs = 200;

/** What the page remembers while it is hidden. State that does not fit its schema counts as none. */
export class PageState<Schema extends v.GenericSchema<object, object>> {
  readonly #schema: Schema;
  #value: v.InferOutput<Schema>;
  #keeping: ReturnType<typeof setTimeout> | undefined;

  constructor(schema: Schema, initial: v.InferOutput<Schema>) {
    this.#schema = schema;
    const parsed = v.safeParse(this.#schema, api.getState());
    this.#value = parsed.success ? parsed.output : initial;
  }

  get value(): v.InferOutput<Schema> {
    return this.#value;
  }

  update(change: Partial<v.InferOutput<Schema>>): void {
    this.#value = { ...this.#value, ...change };
    this.#keep();
  }

  /** The same for what changes many times a second, as while one scrolls: kept a moment later. */
  updateSoon(change: Partial<v.InferOutput<Schema>>): void {
    this.#value = { ...this.#value, ...change };
    this.#keeping ??= setTimeout(() => this.#keep(), keepAfterMs);
  }

  #keep(): void {
    clearTimeout(this.#keeping);
    this.#keeping = undefined;
    api.setState(this.#value);
  }
}
