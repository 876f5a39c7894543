import * as vscode from "vscode";

/** What kind of place each cluster is: what its machines are called, and what they cost. */
interface Place {
  node: string;
  usdPerHour: number;
}

const places: Record<string, () => Place> = {
  local: () => ({ node: vscode.l10n.t("this machine"), usdPerHour: 0 }),
};

export function placeOf(cluster: string): Place {
  return places[cluster]?.() ?? { node: cluster, usdPerHour: 0 };
}
