import type { ResultRow, RunHeader } from "../messages/run.ts";
import { t } from "../text.ts";

/** The states of runs and rows as words and icons: never a colour alone. */

export function isLive(state: RunHeader["state"]): boolean {
  return state === "running" || state === "paused";
}

interface StateIcon {
  icon: string;
  tone?: "ok" | "error" | "warning";
  spins?: boolean;
}

export function stateIcon(state: RunHeader["state"]): StateIcon {
  switch (state) {
    case "running":
      return { icon: "loading", spins: true };
    case "paused":
      return { icon: "debug-pause" };
    case "done":
      return { icon: "pass", tone: "ok" };
    case "failed":
      return { icon: "error", tone: "error" };
    case "cancelled":
      return { icon: "circle-slash" };
    case "interrupted":
      return { icon: "warning", tone: "warning" };
  }
}

export function stateText(state: RunHeader["state"]): string {
  switch (state) {
    case "running":
      return t("Running");
    case "paused":
      return t("Paused");
    case "done":
      return t("Done");
    case "failed":
      return t("Failed");
    case "cancelled":
      return t("Cancelled");
    case "interrupted":
      return t("Interrupted");
  }
}

export function rowIcon(state: ResultRow["state"]): StateIcon & { text: string } {
  switch (state) {
    case "ok":
      return { icon: "check", tone: "ok", text: t("succeeded") };
    case "error":
      return { icon: "error", tone: "error", text: t("failed") };
    case "pending":
      return { icon: "circle-outline", text: t("no outcome yet") };
  }
}
