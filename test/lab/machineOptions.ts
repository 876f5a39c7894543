export interface MachineOptions {
  /** Host name, and its `Host` in the lab's ssh configuration. Default `m1`, `m2`, … */
  name?: string;
  /** Default `me`, an ordinary user. `root` is one too. */
  user?: string;
  /** The user's login shell. Default `bash`. */
  shell?: "bash" | "dash" | "busybox" | "fish";
  /** Size of its disk, which is in memory. Default 4,096. */
  diskMiB?: number;
  /** Which Node is in PATH: this project's, one that says it is old, or none (and no npm). Default `24`. */
  node?: "24" | "20" | "none";
  /** Programs that are not there, such as `tar`. */
  without?: readonly string[];
  /** Lines for sshd's configuration, before its own. */
  sshd?: readonly string[];
  /** Host keys, the first of which `hostKey` is about. Default `["ed25519"]`. */
  hostKeyTypes?: readonly ("ed25519" | "ecdsa" | "rsa")[];
}

type Settled = Required<MachineOptions>;

/** With what it is where nothing is said. */
export function settle(options: MachineOptions, number: number): Settled {
  return {
    name: `m${number}`,
    user: "me",
    shell: "bash",
    diskMiB: 4_096,
    node: "24",
    without: [],
    sshd: [],
    hostKeyTypes: ["ed25519"],
    ...options,
  };
}

const shells = { bash: "/bin/bash", dash: "/bin/dash", busybox: "/bin/ash", fish: "/usr/bin/fish" } as const;
const nodes = { 24: "/opt/lab/node", 20: "/etc/lab/node20", none: "" } as const;
export const password = "correct horse";
const passwordHash =
  "$6$farcall$AqWH8bFlLwesBIQqPQA.lVi0hf05OpSyvsCUu237mj3hf2P6KfNOUPumcXRcU218aaw4eIwriDbVHZcgk87tW.";

export function homeOf(user: string): string {
  return user === "root" ? "/root" : `/home/${user}`;
}

/** What boot.sh has to know of the machine, wherever that stands. */
export function bootVariables({ name, user, shell, node, without }: Settled): Record<string, string> {
  const npm = node === "none" ? ["npm", "npx", "corepack"] : [];
  return {
    LAB_NAME: name,
    LAB_USER: user,
    LAB_UID: user === "root" ? "0" : "4242",
    LAB_HOME: homeOf(user),
    LAB_SHELL: shells[shell],
    LAB_PASSWORD_HASH: passwordHash,
    LAB_WITHOUT: ["node", ...npm, ...without].join(" "),
    LAB_NODE_FILE: process.execPath,
    LAB_NODE_LINK: nodes[node],
  };
}

export function sshdConfig({ sshd, hostKeyTypes }: Settled): string {
  return [
    ...sshd,
    "Port 22",
    ...hostKeyTypes.map((type) => `HostKey /etc/lab/host_${type}`),
    "AuthorizedKeysFile /etc/lab/keys_%u",
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "UseDNS no",
    "StrictModes no",
    "LogLevel VERBOSE",
    "Subsystem sftp internal-sftp",
    "",
  ].join("\n");
}
