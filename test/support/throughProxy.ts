import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ChaosProxy, type ChaosOptions } from "../lab/chaosProxy.ts";
import type { Lab } from "../lab/lab.ts";
import type { Machine } from "../lab/machine.ts";

/** A proxy before a machine, and an ssh configuration whose `Host` of the machine's name leads through it. */
export interface Road extends AsyncDisposable {
  proxy: ChaosProxy;
  env: { FARCALL_SSH_CONFIG: string };
}

export async function roadTo(lab: Lab, machine: Machine, options: ChaosOptions = {}): Promise<Road> {
  const proxy = await ChaosProxy.start(machine, options);
  const file = join(lab.folder, `ssh_config_${proxy.port}`);
  await writeFile(
    file,
    [
      `Host ${machine.name}`,
      `  HostName ${proxy.host}`,
      `  Port ${proxy.port}`,
      `  HostKeyAlias ${machine.address}`,
      `  User ${machine.user}`,
      `  IdentityFile ${machine.privateKeyFile}`,
      "  IdentitiesOnly yes",
      `  UserKnownHostsFile ${lab.knownHostsFile}`,
      "",
    ].join("\n"),
  );
  return { proxy, env: { FARCALL_SSH_CONFIG: file }, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() };
}
