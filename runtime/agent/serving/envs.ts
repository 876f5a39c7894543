import type { envMethods } from "../../protocol/messages/envs.ts";
import type { Handlers } from "../../protocol/rpc.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { Serving } from "./serving.ts";

/** Lists envs, and rebuilds or removes them on all nodes. */
export function serveEnvs(serving: Serving): Handlers<typeof envMethods> {
  const { envs, fleet } = serving;
  return {
    "env.list": async () => ({ result: { envs: await envs.list() } }),
    "env.rebuild": async ({ name, here }, incoming) => {
      const onOutput = (line: string) => void incoming.send({ line });
      const { signal } = incoming;
      if (!here) {
        const ask = { name, here: true };
        await fleet?.others((peer) => peer.request("env.rebuild", ask, { signal }).catch(unlessEnvUnknown));
      }
      await envs.rebuild(name, { signal, onOutput });
      return { result: {} };
    },
    "env.remove": async ({ name, here }, { signal }) => {
      if (!here) {
        const ask = { name, here: true };
        await fleet?.others((peer) => peer.request("env.remove", ask, { signal }).catch(unlessEnvUnknown));
      }
      await envs.remove(name);
      return { result: {} };
    },
  };
}

/** A node that has not used an env has nothing to do for it. */
function unlessEnvUnknown(error: unknown): void {
  if (!(error instanceof FarcallError && error.code === "env.unknown")) throw error;
}
