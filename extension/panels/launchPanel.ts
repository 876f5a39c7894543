import * as v from "valibot";
import * as vscode from "vscode";
import { launchTargetSchema, type LaunchForm, type SourceKind } from "../../webview/messages/launch.ts";
import type { ToExtension } from "../../webview/messages/toExtension.ts";
import { isCancellation, tell } from "../failure.ts";
import type { Farcall } from "../farcall.ts";
import type { Target } from "../launch/findTarget.ts";
import { formOf } from "../launch/formOf.ts";
import { aboutOf, launchCall, launchMap } from "../launch/launch.ts";
import { mapOptionsOf } from "../launch/mapOptions.ts";
import { pickSource } from "../launch/pickSource.ts";
import { folderOf, formKey } from "../launch/places.ts";
import { type SourceChoice, SourceChoices } from "../launch/sourceChoice.ts";
import { functionsOf } from "../lenses/functions.ts";
import { checkArguments, type FieldError } from "../lenses/parameters.ts";
import type { ExportedFunction } from "../lenses/scanExports.ts";
import { Page } from "./page.ts";
import { besideColumn } from "./placing.ts";
import { previewOf } from "./preview.ts";
import { messageOf } from "../../runtime/spec/errors.ts";
import { keptTextChars } from "../memory.ts";

/** The form that asks what to run a function with. One for each function and mode. */

type Mode = LaunchForm["target"]["mode"];

const open = new Map<string, LaunchPanel>();

export function openLaunchPanel(farcall: Farcall, mode: Mode, target: Target): void {
  const existing = open.get(keyOf(mode, target));
  if (existing) {
    existing.show(target.fn);
    return;
  }
  const { name } = target.fn;
  const title = mode === "call" ? vscode.l10n.t("Run {0}", name) : vscode.l10n.t("Map {0}", name);
  fill(farcall, vscode.window.createWebviewPanel("farcall.launch", title, besideColumn(), {}), mode, target);
}

/** `state` is what the page kept; it is the page's word, so it is checked. What was entered, the page has kept too. */
export async function restoreLaunchPanel(farcall: Farcall, panel: vscode.WebviewPanel, state: unknown): Promise<void> {
  const kept = v.safeParse(v.object({ target: launchTargetSchema }), state);
  const target = kept.success && vscode.workspace.isTrusted ? await targetOf(kept.output.target) : undefined;
  if (!kept.success || !target || open.has(keyOf(kept.output.target.mode, target))) panel.dispose();
  else fill(farcall, panel, kept.output.target.mode, target);
}

/** Undefined when the file or the function is no more. */
async function targetOf(of: LaunchForm["target"]): Promise<Target | undefined> {
  try {
    const document = await vscode.workspace.openTextDocument(vscode.Uri.file(of.path));
    const fn = (await functionsOf(document)).find(({ exportPath }) => exportPath === of.export);
    return fn?.callable === true ? { document, fn } : undefined;
  } catch {
    return undefined;
  }
}

function fill(farcall: Farcall, panel: vscode.WebviewPanel, mode: Mode, target: Target): void {
  const form = new LaunchPanel(farcall, panel, mode, target);
  const key = keyOf(mode, target);
  open.set(key, form);
  panel.onDidDispose(() => {
    open.delete(key);
    form.dispose();
  });
}

function keyOf(mode: Mode, { document, fn }: Target): string {
  return `${mode}:${document.uri.toString()}#${fn.exportPath}`;
}

class LaunchPanel {
  readonly #farcall: Farcall;
  readonly #panel: vscode.WebviewPanel;
  readonly #mode: Mode;
  readonly #file: string;
  #fn: ExportedFunction;
  readonly #page: Page;
  readonly #stop = new AbortController();
  readonly #sources: SourceChoices;
  #isLaunching = false;
  #lastPreview = 0;

  constructor(farcall: Farcall, panel: vscode.WebviewPanel, mode: Mode, { document, fn }: Target) {
    this.#farcall = farcall;
    this.#panel = panel;
    this.#mode = mode;
    this.#file = document.fileName;
    this.#fn = fn;
    this.#sources = new SourceChoices(farcall, folderOf(this.#file), this.#stop.signal);
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

  async #sendForm(): Promise<void> {
    this.#page.post({ type: "form", form: await formOf(this.#farcall, this.#mode, this.#file, this.#fn) });
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
    act().catch((error: unknown) => this.#refuse(withHint(error)));
  }

  #refuse(message: string, parameter: number | null = null): void {
    if (!this.#stop.signal.aborted) this.#page.post({ type: "refused", parameter, message });
  }

  async #pick(kind: SourceKind): Promise<void> {
    const text = await pickSource(kind, folderOf(this.#file));
    if (text !== undefined) this.#page.post({ type: "picked", kind, text });
  }

  async #preview(request: number, source: SourceChoice): Promise<void> {
    this.#lastPreview = request;
    try {
      const { count, countIsExact, first } = await this.#sources.preview(source);
      const shown = first.map((value) => previewOf(value));
      this.#page.post({ type: "preview", request, count, exact: countIsExact, first: shown, problem: null });
    } catch (error) {
      if (request !== this.#lastPreview) return;
      this.#page.post({ type: "preview", request, count: null, exact: true, first: [], problem: withHint(error) });
    }
  }

  /** The form stays until the run has begun: what was entered would be lost with it. */
  async #submit(entered: Extract<ToExtension, { type: "submit" }>): Promise<void> {
    // A page that was hidden meanwhile knows nothing of what it sent.
    if (this.#isLaunching) return;
    this.#isLaunching = true;
    try {
      const gone = [entered.cluster, ...entered.guests].find((name) => !this.#farcall.clusterNames.includes(name));
      if (gone !== undefined) throw new Error(vscode.l10n.t("There is no cluster {0}.", gone));
      const launch = this.#mode === "call" ? await this.#call(entered) : await this.#map(entered);
      if (launch) await this.#launch(launch, entered.cluster);
    } finally {
      this.#isLaunching = false;
    }
  }

  async #launch(launch: () => Promise<string>, cluster: string): Promise<void> {
    try {
      await launch();
      this.#panel.dispose();
    } catch (error) {
      if (isCancellation(error)) return this.#refuse(vscode.l10n.t("It was cancelled before it began."));
      this.#refuse(withHint(error));
      const { exportPath } = this.#fn;
      const tried =
        this.#mode === "call"
          ? vscode.l10n.t("Cannot run {0}.", exportPath)
          : vscode.l10n.t("Cannot map {0}.", exportPath);
      void tell(this.#farcall, tried, error, aboutOf({ cluster, file: this.#file }));
    }
  }

  /** Undefined when an argument was refused. */
  async #call({ cluster, env, texts }: Extract<ToExtension, { type: "submit" }>) {
    const { exportPath, params } = this.#fn;
    const checked = checkArguments(params, texts);
    if (!checked.ok) {
      const [[index, error] = []] = Object.entries(checked.errors);
      if (index !== undefined && error) this.#refuse(fieldProblem(error), Number(index));
      return undefined;
    }
    await this.#farcall.memory.remember(formKey(this.#file, exportPath), { texts, env, cluster });
    const { args } = checked;
    return () => launchCall(this.#farcall, { cluster, env, file: this.#file, export: exportPath, args });
  }

  async #map({ cluster, guests, env, map, source }: Extract<ToExtension, { type: "submit" }>) {
    const { exportPath } = this.#fn;
    const options = mapOptionsOf(map);
    // Refused now rather than when the run is to begin.
    const { count, countIsExact } = await this.#sources.preview(source);
    if (count === 0 && countIsExact) throw new Error(vscode.l10n.t("There are no inputs to map."));
    const input = await this.#sources.input(source);
    const kept = source.text.length > keptTextChars ? {} : { source };
    await this.#farcall.memory.remember(formKey(this.#file, exportPath), { map, env, cluster, guests, ...kept });
    const folder = folderOf(this.#file);
    const what = { cluster, guests, env, file: this.#file, export: exportPath };
    return () => launchMap(this.#farcall, { ...what, input, folder, options });
  }
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

function withHint(error: unknown): string {
  const { hint } = error as { hint?: unknown };
  return typeof hint === "string" ? `${messageOf(error)} ${hint}` : messageOf(error);
}
