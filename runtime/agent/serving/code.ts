import type { codeMethods } from "../../protocol/messages/code.ts";
import type { Handlers } from "../../protocol/rpc.ts";
import { envSpecOf } from "../../spec/env.ts";
import { FarcallError } from "../../spec/errors.ts";
import type { Serving } from "./serving.ts";

/** Takes code in, and loads modules. */
export function serveCode(serving: Serving): Handlers<typeof codeMethods> {
  const { files, runs, pools, envs, code, router, caller } = serving;
  return {
    "files.missing": async ({ hashes }) => ({ result: { missing: await files.missing(hashes) } }),
    "file.put": async ({ hash }, { body }) => {
      await files.put(hash, body);
      return { result: {} };
    },
    "file.get": async ({ hash }) => {
      if (!caller.isNode) await code?.fetchFile(hash);
      return { result: {}, body: await files.get(hash) };
    },

    "bundle.get": async ({ hash }) => {
      const bundle = runs.bundle(hash) ?? (caller.isNode ? undefined : await code?.find(hash));
      if (!bundle) throw new FarcallError("run.unknown", `The agent does not know the bundle ${hash}.`);
      return { result: { bundle } };
    },

    "module.load": async ({ module }, incoming) => {
      if (!caller.isNode) await pools.findRoom(module.env, incoming.signal);
      runs.saveBundle(module.bundle);
      envs.used(module.env);
      await code?.fetch(module.bundle);
      const ready = await pools.load(module, {
        signal: incoming.signal,
        onOutput: (line) => void incoming.send({ line }),
      });
      envs.keepModule(ready.key, envSpecOf(module.env));
      const elsewhere = caller.isNode ? undefined : await router?.exports(ready, incoming.signal);
      return { result: { module: ready.key, exports: elsewhere ?? (await pools.exports(ready)), env: ready.env } };
    },
  };
}
