import { readdirSync } from "node:fs";
import { join } from "node:path";
import { SshConfigFile } from "../../runtime/transport/ssh/config.ts";
import { SshConnection } from "../../runtime/transport/ssh/connection.ts";
import type { HostKeyTrust } from "../../runtime/transport/ssh/hostKeys.ts";
import type { SshOptions } from "../../runtime/transport/ssh/login.ts";
import { resolveTarget, type SshTarget } from "../../runtime/transport/ssh/target.ts";
import type { Lab } from "../lab/lab.ts";
import type { Machine } from "../lab/machine.ts";
import { until } from "./home.ts";

/** How Farcall logs in to a machine of a lab: by the lab's ssh configuration, as a person's would be read. */
export function targetOf(lab: Lab, machine: Machine, changes: Partial<SshTarget> = {}): SshTarget {
  const config = SshConfigFile.load({ FARCALL_SSH_CONFIG: lab.sshConfigFile });
  return { ...resolveTarget(machine.name, config), ...changes };
}

function trustIn(lab: Lab): HostKeyTrust {
  return { ownFile: join(lab.folder, "own_known_hosts") };
}

export function open(lab: Lab, target: SshTarget | Machine, options: Partial<SshOptions> = {}): Promise<SshConnection> {
  const to = "processes" in target ? targetOf(lab, target) : target;
  return SshConnection.open(to, { hostKeys: trustIn(lab), ...options });
}

/** How many files, sockets among them, this process has open. */
export function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Logs in and out so often, five at a time. */
export async function logInAndOut(lab: Lab, machine: Machine, times: number): Promise<void> {
  for (let i = 0; i < times; i += 5) {
    const connections = await Promise.all(Array.from({ length: 5 }, () => open(lab, machine)));
    await Promise.all(connections.map((connection) => connection.close()));
  }
}

/** Rejects unless this process has as few files open, and the machine as few processes, as before `act`. */
export async function expectNothingLeft(machine: Machine, act: () => Promise<void>): Promise<void> {
  const now = () => ({ files: openFiles(), processes: machine.processes().length });
  const before = now();
  await act();
  await until(now, ({ files, processes }) => files <= before.files && processes <= before.processes);
}
