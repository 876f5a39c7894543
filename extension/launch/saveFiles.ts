import * as vscode from "vscode";

/** What a bundle is made of, as far as it is text. */
const bundled = /\.(?:[cm]?[jt]sx?|json)$/i;

/**
 * Saves what was typed into files that a bundle may import: the bundler reads files. They may lie in any folder of the
 * workspace, or outside of it. Throws when one cannot be saved, as other code than the one in sight would run.
 */
export async function saveFiles(): Promise<void> {
  const dirty = vscode.workspace.textDocuments.filter(
    ({ isDirty, isUntitled, uri }) => isDirty && !isUntitled && uri.scheme === "file" && bundled.test(uri.path),
  );
  for (const document of dirty) {
    // A save is refused with `false`, as by a person who answers a question with Cancel, and rarely with an error.
    const isSaved = await document.save().then(
      (saved) => saved,
      () => false,
    );
    if (isSaved || !document.isDirty) continue;
    throw new Error(
      vscode.l10n.t(
        "{0} could not be saved, so other code than the one shown would run.",
        vscode.workspace.asRelativePath(document.uri),
      ),
    );
  }
}
