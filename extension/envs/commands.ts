import { join } from "node:path";
import * as vscode from "vscode";
import type { Command } from "../commands.ts";
import type { Farcall } from "../farcall.ts";
import type { EnvItem } from "./tree.ts";

/** What can be done with envs. */
export function envCommands(farcall: Farcall): Record<string, Command> {
  return {
    "envs.create": { tried: vscode.l10n.t("Cannot create the env."), act: () => create() },
    "envs.edit": {
      tried: vscode.l10n.t("Cannot edit the env."),
      act: async (item?: EnvItem) => {
        if (item?.kind === "declared") await open(item.file, item.name);
        else if (item?.kind === "project") await open(item.file);
        else {
          const [file] = await vscode.workspace.findFiles("**/farcall.json", "**/node_modules/**", 1);
          if (file) await open(file.fsPath);
          else await create();
        }
      },
    },
    "envs.rebuild": {
      tried: vscode.l10n.t("Cannot rebuild the env."),
      act: async (item?: EnvItem) => {
        const picked = await installed(farcall, item);
        if (picked) await rebuild(farcall, picked.cluster, picked.name);
      },
    },
    "envs.remove": {
      tried: vscode.l10n.t("Cannot remove the env."),
      act: async (item?: EnvItem) => {
        const picked = await installed(farcall, item);
        if (!picked) return;
        const remove = vscode.l10n.t("Remove");
        const question = vscode.l10n.t(
          "Remove the env {0} and its packages from the cluster {1}?",
          picked.name,
          picked.cluster,
        );
        if ((await vscode.window.showWarningMessage(question, { modal: true }, remove)) !== remove) return;
        await (await farcall.cluster(picked.cluster)).envs.remove(picked.name);
        farcall.live.refresh();
      },
    },
  };
}

async function installed(
  farcall: Farcall,
  item: EnvItem | undefined,
): Promise<{ cluster: string; name: string } | undefined> {
  if (item?.kind === "installed") return { cluster: item.cluster, name: item.name };
  if (item?.kind === "declared") return { cluster: "local", name: item.name };
  const items = farcall.live.states.flatMap(({ name: cluster, envs }) =>
    envs.map(({ name }) => ({ label: name, description: cluster, cluster, name })),
  );
  if (items.length > 0) return vscode.window.showQuickPick(items, { placeHolder: vscode.l10n.t("Which env?") });
  void vscode.window.showInformationMessage(vscode.l10n.t("No cluster has an env yet."));
  return undefined;
}

async function rebuild(farcall: Farcall, clusterName: string, name: string): Promise<void> {
  const cluster = await farcall.cluster(clusterName);
  await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: vscode.l10n.t("Rebuilding the env {0}", name),
      cancellable: true,
    },
    async (progress, token) => {
      const stop = new AbortController();
      token.onCancellationRequested(() => stop.abort());
      await cluster.envs.rebuild(name, {
        signal: stop.signal,
        onProgress: (line) => {
          farcall.log.info(`${name}: ${line}`);
          progress.report({ message: line.slice(0, 100) });
        },
      });
    },
  );
  farcall.live.refresh();
}

async function create(): Promise<void> {
  const folder = await pickFolder();
  if (!folder) return;
  const file = vscode.Uri.file(join(folder.uri.fsPath, "farcall.json"));
  const before = await read(file);
  const taken = new Set(Object.keys(before.envs ?? {}));
  const { checkName } = await import("../../runtime/spec/names.ts");
  const name = await vscode.window.showInputBox({
    title: vscode.l10n.t("Create an Env"),
    prompt: vscode.l10n.t("A name, such as `scraping`. `default` is used by every function that names no env."),
    value: taken.size === 0 ? "default" : "",
    validateInput: (value) => {
      if (taken.has(value)) return vscode.l10n.t("There is an env of this name already.");
      try {
        checkName("env", value);
        return undefined;
      } catch (error) {
        const { message, hint } = error as { message: string; hint?: string };
        return hint === undefined ? message : `${message} ${hint}`;
      }
    },
  });
  if (name === undefined) return;
  const envs = { ...before.envs, [name]: { reqs: [], replicas: 2 } };
  const text = `${JSON.stringify({ ...before, envs }, null, 2)}\n`;
  await vscode.workspace.fs.writeFile(file, Buffer.from(text));
  await open(file.fsPath, name);
}

async function pickFolder(): Promise<vscode.WorkspaceFolder | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length > 1) return vscode.window.showWorkspaceFolderPick();
  if (folders[0]) return folders[0];
  void vscode.window.showInformationMessage(vscode.l10n.t("Open a folder first: envs stand in its farcall.json."));
  return undefined;
}

async function read(file: vscode.Uri): Promise<{ envs?: Record<string, unknown> }> {
  let text: string;
  try {
    text = Buffer.from(await vscode.workspace.fs.readFile(file)).toString("utf8");
  } catch {
    return {};
  }
  try {
    return JSON.parse(text) as { envs?: Record<string, unknown> };
  } catch (cause) {
    throw new Error(vscode.l10n.t("{0} is not valid JSON; mend it first.", file.fsPath), { cause });
  }
}

/** Opens the file with the cursor at the env. */
async function open(file: string, name?: string): Promise<void> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(file));
  const at = name === undefined ? -1 : document.getText().indexOf(`${JSON.stringify(name)}:`);
  const position = document.positionAt(Math.max(0, at));
  await vscode.window.showTextDocument(document, { selection: new vscode.Range(position, position) });
}
