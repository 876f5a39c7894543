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
  const { proxies, ...road } = await roadsTo(lab, [machine], options);
  return { proxy: proxies[0]!, ...road };
}

/** The same for several machines, a proxy each. */
export async function roadsTo(
  lab: Lab,
  machines: readonly Machine[],
  options: ChaosOptions = {},
): Promise<Omit<Road, "proxy"> & { proxies: ChaosProxy[] }> {
  const proxies = await Promise.all(machines.map((machine) => ChaosProxy.start(machine, options)));
  const file = join(lab.folder, `ssh_config_${proxies[0]!.port}`);
  await writeFile(file, machines.map((machine, at) => hostOf(lab, machine, proxies[at]!)).join("\n"));
  return {
    proxies,
    env: { FARCALL_SSH_CONFIG: file },
    [Symbol.asyncDispose]: async () => void (await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()))),
  };
}

function hostOf(lab: Lab, machine: Machine, proxy: ChaosProxy): string {
  return [
    `Host ${machine.name}`,
    `  HostName ${proxy.host}`,
    `  Port ${proxy.port}`,
    `  HostKeyAlias ${machine.address}`,
    `  User ${machine.user}`,
    `  IdentityFile ${machine.privateKeyFile}`,
    "  IdentitiesOnly yes",
    `  UserKnownHostsFile ${lab.knownHostsFile}`,
    "",
  ].join("\n");
}
