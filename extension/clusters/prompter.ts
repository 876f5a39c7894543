import * as vscode from "vscode";
import type { SshPrompter } from "../../runtime/transport/ssh/auth.ts";
import { plainLine } from "../../runtime/spec/text.ts";

/**
 * Asks the person at the editor, one question at a time, and keeps nothing of the answers. While `mayAsk` says no, as
 * when a view only looks, nobody is asked and what would need an answer fails.
 */
export function editorPrompter(mayAsk: () => boolean): SshPrompter {
  let asking: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(otherwise: T, ask: () => Promise<T>): Promise<T> => {
    if (!mayAsk()) return Promise.resolve(otherwise);
    // Whoever wanted to know may have given up by the time it is their turn.
    const answer = asking.then(() => (mayAsk() ? ask() : otherwise));
    asking = answer.catch(() => undefined);
    return answer;
  };
  return {
    passphrase: (keyFile, again) =>
      inTurn<string | undefined>(undefined, () =>
        askSecret(
          vscode.l10n.t("Passphrase of an SSH Key"),
          again
            ? vscode.l10n.t("That did not open it. Passphrase of the key {0}", keyFile)
            : vscode.l10n.t("Passphrase of the key {0}", keyFile),
        ),
      ),
    password: (host, prompt) =>
      inTurn<string | undefined>(undefined, () =>
        askSecret(vscode.l10n.t("Log In to {0}", host), plainLine(prompt).replace(/[:\s]*$/, "")),
      ),
    confirmHostKey: ({ host, address, keyType, fingerprint }) =>
      inTurn(false, async () => {
        const trust = vscode.l10n.t("Trust and Connect");
        const question = vscode.l10n.t("The host {0} is not known yet. Is this the machine?", host);
        const detail = vscode.l10n.t(
          "Address: {0}\nKey: {1}\nFingerprint: {2}\n\nCompare the fingerprint with what the machine says of itself, for example with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there.",
          address,
          keyType,
          fingerprint,
        );
        return (await vscode.window.showWarningMessage(question, { modal: true, detail }, trust)) === trust;
      }),
  };
}

/** Undefined when nothing is given. */
async function askSecret(title: string, prompt: string): Promise<string | undefined> {
  const given = await vscode.window.showInputBox({ title, prompt, password: true, ignoreFocusOut: true });
  return given === "" ? undefined : given;
}
