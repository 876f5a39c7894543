import * as vscode from "vscode";

/** The group of editors beside the code: one that is there already, rather than one more for each panel. */
export function besideColumn(): vscode.ViewColumn {
  const { all, activeTabGroup } = vscode.window.tabGroups;
  const ours = all.find(({ tabs }) => tabs.some(isOurs));
  // With a panel in the active group, the next one goes there too.
  if (ours) return ours.viewColumn;
  const other = all.find(({ viewColumn }) => viewColumn > activeTabGroup.viewColumn);
  return other?.viewColumn ?? vscode.ViewColumn.Beside;
}

/** Where code is opened from a panel in `own`: another group where there is one. */
export function codeColumn(own: vscode.ViewColumn | undefined): vscode.ViewColumn {
  const { all } = vscode.window.tabGroups;
  const withCode = all.find(
    ({ viewColumn, tabs }) => viewColumn !== own && tabs.some(({ input }) => input instanceof vscode.TabInputText),
  );
  const other = withCode ?? all.find(({ viewColumn }) => viewColumn !== own);
  return other?.viewColumn ?? vscode.ViewColumn.Active;
}

function isOurs({ input }: vscode.Tab): boolean {
  return input instanceof vscode.TabInputWebview && /(?:^|-)farcall\./.test(input.viewType);
}
