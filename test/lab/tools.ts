import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ensureDebianPackages } from "../support/debianPackages.ts";

/** What simulated machines are made with, and Debian's packages that have it. */
const tools: Record<string, string> = {
  sshd: "openssh-server",
  "ssh-keygen": "openssh-client",
  ip: "iproute2",
  unshare: "util-linux",
  busybox: "busybox",
  fish: "fish",
  dash: "dash",
};
const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];

/** Why there can be no simulated machines here, if so. */
export function unusable(): string | undefined {
  if (process.platform !== "linux") return "they are made of Linux namespaces";
  if (process.getuid?.() !== 0) return "they need root";
  return undefined;
}

/** Installs what is missing, where that is possible and there can be machines at all. */
export async function ensureLabTools(): Promise<void> {
  if (unusable() !== undefined) return;
  const missing = missingTools();
  if (missing.length === 0) return;
  await ensureDebianPackages([...new Set(missing.map((tool) => tools[tool]!))], "simulate machines");
  const still = missingTools();
  if (still.length > 0) throw new Error(`To simulate machines, these programs are needed: ${still.join(", ")}.`);
}

function missingTools(): string[] {
  return Object.keys(tools).filter((tool) => !folders.some((folder) => existsSync(join(folder, tool))));
}
