import type { ClusterRecord } from "../../runtime/cluster/registry.ts";
import type { AgentStatus } from "../../runtime/index.ts";

/** How a cluster is, out of what its registry says and what was found when it was last looked at. */
export type Condition =
  | "up"
  /** Its agents ended themselves; they start when they are needed. */
  | "idle"
  | "stopped"
  | "launching"
  | "ending"
  | "unreachable"
  /** Nothing can be known of it before somebody does something. */
  | "broken"
  /** It has not been looked at yet. */
  | "unknown";

export interface Known {
  name: string;
  status: AgentStatus | undefined;
  /** Undefined for the local cluster. */
  record: ClusterRecord | undefined;
  /** Why nothing is known. */
  error: string | undefined;
  wasLooked: boolean;
}

export function conditionOf({ name, status, record, error, wasLooked }: Known): Condition {
  if (name === "local") return error === undefined ? (status ? "up" : "idle") : "broken";
  if (record === undefined) return error === undefined ? "unknown" : "broken";
  if (record.state === "ending") return "ending";
  if (status) return "up";
  if (record.state !== "up") return record.state;
  if (error !== undefined) return "unreachable";
  return wasLooked ? "idle" : "unknown";
}

/** What is offered for a cluster: words of its `contextValue`. */
export function offersOf(name: string, condition: Condition): string[] {
  const isLocal = name === "local";
  return [
    isLocal ? "local" : "ssh",
    ...(condition === "up" || condition === "ending" ? [] : ["startable"]),
    ...(!isLocal && (condition === "up" || condition === "unreachable") ? ["stoppable"] : []),
    ...(!isLocal || condition === "up" || condition === "broken" ? ["removable"] : []),
  ];
}

/** Whether looking at it means asking its machines: what is known to be down is left in peace. */
export function isWorthLooking(name: string, record: ClusterRecord | undefined): boolean {
  return name === "local" || record?.state === "up";
}

const localPauseMs = 1_500;
const idlePauseMs = 5_000;
const awayPauseMs = 15_000;
const refusedPauseMs = 120_000;

/** How long to leave a cluster in peace after a look that found no agent. */
export function pauseAfter(name: string, errorCode: unknown): number {
  if (name === "local") return localPauseMs;
  // Asked again and again, a machine takes logins that fail for an attack.
  if (errorCode === "ssh.auth" || String(errorCode).startsWith("ssh.host-key")) return refusedPauseMs;
  return errorCode === undefined || errorCode === "connection.lost" ? idlePauseMs : awayPauseMs;
}
