import { isAbsolute } from "node:path";
import type { ErrorCode } from "../runtime/index.ts";

/** Which one thing a person is offered to do about an error, by its code and by what is known of what was tried. */
export interface About {
  cluster?: string | undefined;
  /** Absolute path of the source file. */
  file?: string | undefined;
  run?: string | undefined;
  /** Does it again. */
  retry?: (() => unknown) | undefined;
}

export type Remedy =
  | { kind: "openFile"; file: string; line: number; column: number }
  | { kind: "runAgain"; cluster: string; run: string }
  | { kind: "start" | "shutDown" | "clusterLog"; cluster: string }
  | { kind: "editEnvs" | "chooseHome" }
  | { kind: "retry"; act: () => unknown };

type Kind = Remedy["kind"];

const kinds: Partial<Record<ErrorCode, Kind>> = {
  "agent.version": "shutDown",
  "agent.unreachable": "start",
  "agent.start-failed": "clusterLog",
  "queue.corrupt": "clusterLog",
  "home.unusable": "chooseHome",
  "disk.full": "chooseHome",
  "bundle.file-missing": "openFile",
  "bundle.compile": "openFile",
  "bundle.export-unknown": "openFile",
  "bundle.export-not-function": "openFile",
  "bundle.import-failed": "openFile",
  "env.install-failed": "editEnvs",
  "env.lockfile-invalid": "editEnvs",
  "env.unknown": "editEnvs",
  "spec.invalid": "editEnvs",
  "run.mismatch": "runAgain",
  "agent.stopping": "retry",
  "agent.auth": "retry",
  "connection.lost": "retry",
  timeout: "retry",
  "cluster.busy": "retry",
  "node.install-failed": "retry",
  "node.unreachable": "retry",
  "ssh.unreachable": "retry",
  "ssh.timeout": "retry",
  "ssh.refused": "retry",
  "ssh.auth": "retry",
  "ssh.host-key-unknown": "retry",
};

export function remedyOf(error: unknown, about: About): Remedy | undefined {
  const { code, message = "" } = error as { code?: unknown; message?: string };
  const kind = Object.hasOwn(kinds, String(code)) ? kinds[code as ErrorCode] : undefined;
  const { cluster = "local", file, run, retry } = about;
  switch (kind) {
    case "openFile": {
      const place = placeIn(message);
      if (place) return { kind, ...place };
      return file === undefined ? undefined : { kind, file, line: 1, column: 1 };
    }
    case "runAgain":
      return run === undefined ? undefined : { kind, cluster, run };
    case "retry":
      return retry && { kind, act: retry };
    case "shutDown":
      // Machines would lose what is on them; starting brings them to this version when they have rested.
      return { kind: cluster === "local" ? kind : "start", cluster };
    case "start":
    case "clusterLog":
      return { kind, cluster };
    case "editEnvs":
    case "chooseHome":
      return { kind };
    case undefined:
      return undefined;
  }
}

/** Hints of the runtime are for all who use it; one that names the command line or its variables helps no editor. */
export function isForEditors(hint: string): boolean {
  return !/`farcall |\bfarcall --|(?:^|\s)--[a-z]|\bFARCALL_[A-Z]/.test(hint);
}

/** The first `path:line:column` of a message. */
function placeIn(message: string): { file: string; line: number; column: number } | undefined {
  for (const [, file = "", line, column] of message.matchAll(/(?:^|[\s(])((?:[A-Za-z]:)?[^\s():]+):(\d+):(\d+)/g))
    if (isAbsolute(file)) return { file, line: Number(line), column: Number(column) };
  return undefined;
}
