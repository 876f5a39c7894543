import { workMethods, type WorkMethods } from "./messages/work.ts";
import type { Item, Params, Result } from "./messages/catalogue.ts";
import type { Handlers, Received } from "./rpc.ts";
import type { Incoming } from "./served.ts";

/** Asks whoever lends work of a map, or is nearer to that one. */
export type AskWork = <K extends keyof WorkMethods>(
  method: K,
  params: Params<WorkMethods[K]>,
  options: { body?: Uint8Array; signal?: AbortSignal | undefined },
  onItem?: (item: unknown, body: Uint8Array) => void | Promise<void>,
) => Promise<Received<Result<WorkMethods[K]>>>;

/** Serves the requests for a map's work by asking the next one, as `askFor` finds it; throws what that throws. */
export function passOn(askFor: (run: string) => AskWork): Handlers<WorkMethods> {
  const pass =
    <K extends keyof WorkMethods>(method: K) =>
    async (params: Params<WorkMethods[K]>, incoming: Incoming<Item<WorkMethods[K]>>) => {
      const { body, signal } = incoming;
      const answer = await askFor(params.run)(method, params, { body, signal }, (item, itemBody) =>
        incoming.send(item as Item<WorkMethods[K]>, itemBody),
      );
      return { result: answer.value, body: answer.body };
    };
  const methods = Object.keys(workMethods) as (keyof WorkMethods)[];
  return Object.fromEntries(methods.map((method) => [method, pass(method)])) as unknown as Handlers<WorkMethods>;
}
