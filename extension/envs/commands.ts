import { join } from "node:path";
import * as vscode from "vscode";
import type { Command } from "../commands.ts";
import type { Farcall } from "../farcall.ts";
import type { EnvItem } from "./tree.ts";
import { signalOf } from "../cancellation.ts";

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
        await (await farcall.reach(picked.cluster)).envs.remove(picked.name);
        farcall.live.refresh(picked.cluster);
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
  const cluster = await farcall.reach(clusterName);
  await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: vscode.l10n.t("Rebuilding the env {0}", name),
      cancellable: true,
    },
    async (progress, token) => {
      await cluster.envs.rebuild(name, {
        signal: signalOf(token),
        onProgress: (line) => {
          farcall.log.info(`${name}: ${line}`);
          progress.report({ message: line.slice(0, 100) });
        },
      });
    },
  );
  farcall.live.refresh(clusterName);
}

async function create(): Promise<void> {
  const folder = await pickFolder();
  if (!folder) return;
  const file = vscode.Uri.file(join(folder.uri.fsPath, "farcall.json"));
  const before = await read(file);
  const taken = new Set(Object.keys(before?.envs ?? {}));
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
  await write(file, name);
  await open(file.fsPath, name);
}

/** In the editor, where what was typed and not saved yet is kept, and the change can be undone. */
async function write(file: vscode.Uri, name: string): Promise<void> {
  // Again: it may have been changed while the name was asked for.
  const before = await read(file);
  const text = (json: object) => `${JSON.stringify(json, null, 2)}\n`;
  const edit = new vscode.WorkspaceEdit();
  let wasDirty = false;
  const after = text({ ...before, envs: { ...before?.envs, [name]: { reqs: [], replicas: 2 } } });
  if (before) {
    const document = await vscode.workspace.openTextDocument(file);
    wasDirty = document.isDirty;
    edit.replace(file, new vscode.Range(0, 0, document.lineCount, 0), after);
  } else edit.createFile(file, { contents: Buffer.from(after) });
  if (!(await vscode.workspace.applyEdit(edit)))
    throw new Error(vscode.l10n.t("The editor did not take the change of {0}.", file.fsPath));
  const document = await vscode.workspace.openTextDocument(file);
  // What was open and not saved stays so: it is not for us to save it.
  if (!wasDirty && document.isDirty && !(await document.save()))
    throw new Error(vscode.l10n.t("{0} could not be saved.", file.fsPath));
}

async function pickFolder(): Promise<vscode.WorkspaceFolder | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length > 1) return vscode.window.showWorkspaceFolderPick();
  if (folders[0]) return folders[0];
  void vscode.window.showInformationMessage(vscode.l10n.t("Open a folder first: envs stand in its farcall.json."));
  return undefined;
}

/** As it stands in the editor if it is open there; undefined when there is no such file. */
async function read(file: vscode.Uri): Promise<ProjectJson | undefined> {
  const isThere = await vscode.workspace.fs.stat(file).then(
    () => true,
    (error: unknown) => {
      if (error instanceof vscode.FileSystemError && error.code === "FileNotFound") return false;
      throw error;
    },
  );
  if (!isThere) return undefined;
  const text = (await vscode.workspace.openTextDocument(file)).getText();
  if (text.trim() === "") return {};
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new Error(vscode.l10n.t("{0} is not valid JSON; mend it first.", file.fsPath), { cause });
  }
  if (!isObject(json) || (json["envs"] !== undefined && !isObject(json["envs"])))
    throw new Error(vscode.l10n.t("{0} has no object of envs; mend it first.", file.fsPath));
  return json;
}

interface ProjectJson {
  envs?: Record<string, unknown>;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Opens the file with the cursor at the env. */
async function open(file: string, name?: string): Promise<void> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(file));
  const at = name === undefined ? -1 : document.getText().indexOf(`${JSON.stringify(name)}:`);
  const position = document.positionAt(Math.max(0, at));
  await vscode.window.showTextDocument(document, { selection: new vscode.Range(position, position) });
}
