import { dirname, join } from "node:path";
import * as vscode from "vscode";
import { checkMapOptions, type MapOptions } from "../../runtime/spec/map.ts";
import type { LaunchForm, MapForm, SourceKind, ToExtension } from "../../webview/messages.ts";
import { envsFor } from "../envs/projectFiles.ts";
import { tell } from "../failure.ts";
import type { Farcall } from "../farcall.ts";
import { type Target, formKey } from "../launch/begin.ts";
import { launchCall, launchMap } from "../launch/launch.ts";
import { pasted, previewSource } from "../launch/sources.ts";
import { checkArguments, type FieldError, fieldOf, parseField } from "../lenses/parameters.ts";
import type { ExportedFunction } from "../lenses/scanExports.ts";
import { cut, previewOf } from "./preview.ts";
import { Page } from "./page.ts";
import { besideColumn } from "./placing.ts";

/** The form that asks what to run a function with. One for each function and mode. */

type Mode = LaunchForm["mode"];
interface SourceChoice {
  kind: SourceKind;
  text: string;
}

const open = new Map<string, LaunchPanel>();

export async function openLaunchPanel(farcall: Farcall, mode: Mode, target: Target): Promise<void> {
  const { document, fn } = target;
  const key = `${mode}:${document.uri.toString()}#${fn.exportPath}`;
  const existing = open.get(key);
  if (existing) {
    existing.show(fn);
    return;
  }
  const title = mode === "call" ? vscode.l10n.t("Run {0}", fn.name) : vscode.l10n.t("Map {0}", fn.name);
  const panel = vscode.window.createWebviewPanel("farcall.launch", title, besideColumn(), {});
  const form = new LaunchPanel(farcall, panel, mode, document.fileName, fn);
  open.set(key, form);
  panel.onDidDispose(() => {
    open.delete(key);
    form.dispose();
  });
}

class LaunchPanel {
  readonly #farcall: Farcall;
  readonly #panel: vscode.WebviewPanel;
  readonly #mode: Mode;
  readonly #file: string;
  #fn: ExportedFunction;
  readonly #page: Page;
  readonly #stop = new AbortController();
  #previewing: AbortController | undefined;

  constructor(farcall: Farcall, panel: vscode.WebviewPanel, mode: Mode, file: string, fn: ExportedFunction) {
    this.#farcall = farcall;
    this.#panel = panel;
    this.#mode = mode;
    this.#file = file;
    this.#fn = fn;
    this.#page = new Page(farcall, panel, "launch", {
      onReady: () => void this.#sendForm(),
      onMessage: (message) => this.#handle(message),
    });
  }

  /** Parameters may have changed since the form was opened. */
  show(fn: ExportedFunction): void {
    this.#fn = fn;
    this.#panel.reveal();
    void this.#sendForm();
  }

  dispose(): void {
    this.#stop.abort();
    this.#page.dispose();
  }

  get #folder(): string {
    return vscode.workspace.getWorkspaceFolder(vscode.Uri.file(this.#file))?.uri.fsPath ?? dirname(this.#file);
  }

  async #sendForm(): Promise<void> {
    const { name, exportPath, params, returnType, doc } = this.#fn;
    const remembered = this.#farcall.memory.of(formKey(this.#file, exportPath));
    const settings = vscode.workspace.getConfiguration("farcall", vscode.Uri.file(this.#file));
    let envs: string[] = ["default"];
    try {
      envs = Object.keys(await envsFor(this.#file));
    } catch (error) {
      void tell(this.#farcall, vscode.l10n.t("The envs of farcall.json cannot be read."), error);
    }
    const shown = params.map(
      (each) => `${each.rest ? "..." : ""}${each.name}${each.optional ? "?" : ""}${each.type ? `: ${each.type}` : ""}`,
    );
    const form: LaunchForm = {
      mode: this.#mode,
      name: exportPath === "default" ? name : exportPath,
      file: vscode.workspace.asRelativePath(this.#file),
      signature: cut(`${name}(${shown.join(", ")})${returnType ? `: ${returnType}` : ""}`, 2_000),
      doc: doc ?? "",
      parameters: params.map((param) => ({
        name: param.name,
        type: cut(param.type ?? "", 500),
        doc: param.doc ?? "",
        rest: param.rest,
        default: cut(param.default ?? "", 200),
        field: fieldOf(param),
      })),
      history: remembered.history.filter(({ length }) => length === params.length),
      envs,
      env: remembered.env !== undefined && envs.includes(remembered.env) ? remembered.env : "default",
      clusters: this.#farcall.clusterNames,
      cluster: remembered.cluster ?? "local",
      map: remembered.map ?? {
        replicas: "",
        concurrency: "",
        retries: retriesText(settings.get("map.retries", 0)),
        timeoutSeconds: "",
        onError: settings.get<MapForm["onError"]>("map.onError", "collect"),
      },
      source: remembered.source ?? { kind: "file", text: "" },
    };
    this.#page.post({ type: "form", form });
  }

  #handle(message: ToExtension): void {
    const act = async (): Promise<unknown> => {
      switch (message.type) {
        case "pickSource":
          return this.#pick(message.kind);
        case "previewSource":
          return this.#preview(message.request, message.source);
        case "submit":
          return this.#submit(message);
        case "close":
          this.#panel.dispose();
          return undefined;
        default:
          return undefined;
      }
    };
    act().catch((error: unknown) => {
      if (this.#stop.signal.aborted) return;
      this.#page.post({ type: "refused", parameter: null, message: messageOf(error) });
    });
  }

  async #pick(kind: SourceKind): Promise<void> {
    const filters: Record<string, string[]> =
      kind === "export"
        ? { [vscode.l10n.t("Code")]: ["ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs"] }
        : { [vscode.l10n.t("Inputs")]: ["jsonl", "ndjson", "json", "csv", "tsv"] };
    if (kind === "paste") return;
    if (kind === "glob") {
      const [folder] =
        (await vscode.window.showOpenDialog({
          canSelectFolders: true,
          canSelectFiles: false,
          defaultUri: vscode.Uri.file(this.#folder),
        })) ?? [];
      if (folder) this.#page.post({ type: "picked", kind, text: `${this.#relative(folder.fsPath)}/**/*` });
      return;
    }
    const [file] = (await vscode.window.showOpenDialog({ defaultUri: vscode.Uri.file(this.#folder), filters })) ?? [];
    if (!file) return;
    let text = this.#relative(file.fsPath);
    if (kind === "export") {
      const name = await pickExport(file);
      if (name === undefined) return;
      text += `#${name}`;
    }
    this.#page.post({ type: "picked", kind, text });
  }

  #relative(file: string): string {
    const folder = `${this.#folder}${process.platform === "win32" ? "\\" : "/"}`;
    return file.startsWith(folder) ? file.slice(folder.length) : file;
  }

  async #preview(request: number, source: SourceChoice): Promise<void> {
    this.#previewing?.abort();
    const stop = new AbortController();
    this.#previewing = stop;
    const answer = (count: number | null, exact: boolean, first: string[], problem: string | null) =>
      this.#page.post({ type: "preview", request, count, exact, first, problem });
    if (source.text.trim() === "") {
      answer(null, true, [], null);
      return;
    }
    try {
      const signal = AbortSignal.any([stop.signal, this.#stop.signal]);
      const { count, exact, first } = await previewSource(await this.#input(source), { cwd: this.#folder, signal });
      answer(
        count,
        exact,
        first.map((value) => previewOf(value)),
        null,
      );
    } catch (error) {
      if (!stop.signal.aborted) answer(null, true, [], messageOf(error));
    }
  }

  /** The source as the runtime takes it. */
  async #input({ kind, text }: SourceChoice): Promise<string> {
    switch (kind) {
      case "file":
        return text.trim();
      case "glob":
        return `glob:${text.trim()}`;
      case "export":
        return text.trim();
      case "paste":
        return pasted(text, join(this.#farcall.context.globalStorageUri.fsPath, "inputs"));
    }
  }

  async #submit({ cluster, env, texts, map, source }: Extract<ToExtension, { type: "submit" }>): Promise<void> {
    const { exportPath, params } = this.#fn;
    const what = { cluster, env, file: this.#file, export: exportPath };
    const key = formKey(this.#file, exportPath);
    if (!this.#farcall.clusterNames.includes(cluster))
      throw new Error(vscode.l10n.t("There is no cluster {0}.", cluster));
    if (this.#mode === "call") {
      const checked = checkArguments(params, texts);
      if (!checked.ok) {
        const [[index, error] = []] = Object.entries(checked.errors);
        if (index !== undefined && error) {
          this.#page.post({ type: "refused", parameter: Number(index), message: fieldProblem(error) });
        }
        return;
      }
      await this.#farcall.memory.remember(key, { texts, env, cluster });
      this.#panel.dispose();
      await launchCall(this.#farcall, { ...what, args: checked.args });
      return;
    }
    const options = optionsOf(map);
    const input = await this.#input(source);
    // Refused now, with the form still there, rather than when the run is to begin.
    const preview = await previewSource(input, { cwd: this.#folder, signal: this.#stop.signal });
    if (preview.count === 0) throw new Error(vscode.l10n.t("There are no inputs to map."));
    await this.#farcall.memory.remember(key, { map, env, cluster, ...(source.text.length > 20_000 ? {} : { source }) });
    this.#panel.dispose();
    const absolute = source.kind === "file" || source.kind === "export" ? resolveInput(this.#folder, input) : input;
    await launchMap(this.#farcall, { ...what, input: absolute, folder: this.#folder, options });
  }
}

function resolveInput(folder: string, input: string): string {
  return /^(?:[\\/]|[A-Za-z]:)/.test(input) ? input : join(folder, input);
}

function retriesText(retries: number): string {
  return retries === 0 ? "" : String(retries);
}

/** Throws `spec.invalid` for what cannot be. */
function optionsOf(form: MapForm): MapOptions {
  const number = (text: string, name: string): number | undefined => {
    const parsed = parseField({ kind: "number", optional: true }, text);
    if (!parsed.ok) throw new Error(vscode.l10n.t("{0} is not a number.", name));
    return parsed.value as number | undefined;
  };
  const seconds = number(form.timeoutSeconds, vscode.l10n.t("The time limit"));
  const given = {
    replicas: number(form.replicas, vscode.l10n.t("The number of replicas")),
    concurrency: number(form.concurrency, vscode.l10n.t("The number of inputs at a time")),
    retries: number(form.retries, vscode.l10n.t("The number of retries")),
    timeoutMs: seconds === undefined ? undefined : Math.round(seconds * 1_000),
    onError: form.onError,
  };
  return checkMapOptions(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
}

/** Names that a file exports, values and functions alike, as far as its text says. */
async function pickExport(file: vscode.Uri): Promise<string | undefined> {
  const text = Buffer.from(await vscode.workspace.fs.readFile(file)).toString("utf8");
  const names = [
    ...text.matchAll(/^\s*export\s+(?:declare\s+)?(?:const|let|var|(?:async\s+)?function\s*\*?)\s*([\w$]+)/gm),
  ].map(([, name]) => name!);
  if (names.length === 0) {
    throw new Error(vscode.l10n.t("{0} exports no array and no function.", vscode.workspace.asRelativePath(file)));
  }
  return vscode.window.showQuickPick([...new Set(names)], {
    placeHolder: vscode.l10n.t(
      "Which export gives the inputs? An array, or a function or generator without parameters",
    ),
  });
}

function fieldProblem({ message, detail }: FieldError): string {
  switch (message) {
    case "number":
      return vscode.l10n.t("This is not a number.");
    case "integer":
      return vscode.l10n.t("This is not a whole number.");
    case "array":
      return vscode.l10n.t("This is not a JSON array.");
    case "required":
      return vscode.l10n.t("A value is needed here.");
    case "json":
      return vscode.l10n.t("This is not JSON: {0}", detail);
    case "choice":
      return vscode.l10n.t("This is none of the choices: {0}", detail);
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { hint } = error as { hint?: unknown };
  return typeof hint === "string" ? `${error.message} ${hint}` : error.message;
}
