import * as vscode from "vscode";
import type { LaunchForm, MapForm } from "../../webview/messages/launch.ts";
import { envsFor } from "../envs/projectFiles.ts";
import { tell } from "../failure.ts";
import type { Farcall } from "../farcall.ts";
import { fieldOf } from "../lenses/parameters.ts";
import type { ExportedFunction } from "../lenses/scanExports.ts";
import { cut } from "../panels/preview.ts";
import { formKey } from "./places.ts";

/** The form of a function as its page shows it: what it takes, and what was last entered. */

type Mode = LaunchForm["target"]["mode"];

export async function formOf(farcall: Farcall, mode: Mode, file: string, fn: ExportedFunction): Promise<LaunchForm> {
  const { name, exportPath, params, returnType, doc } = fn;
  const remembered = farcall.memory.of(formKey(file, exportPath));
  const settings = vscode.workspace.getConfiguration("farcall", vscode.Uri.file(file));
  let envs: string[] = ["default"];
  try {
    envs = Object.keys(await envsFor(file));
  } catch (error) {
    void tell(farcall, vscode.l10n.t("The envs of farcall.json cannot be read."), error);
  }
  await farcall.registered.look();
  const clusters = farcall.clusterNames;
  const shown = params.map(
    (each) => `${each.rest ? "..." : ""}${each.name}${each.optional ? "?" : ""}${each.type ? `: ${each.type}` : ""}`,
  );
  return {
    target: { mode, path: file, export: exportPath },
    name: exportPath === "default" ? name : exportPath,
    file: vscode.workspace.asRelativePath(file),
    signature: cut(`${name}(${shown.join(", ")})${returnType ? `: ${returnType}` : ""}`, 2_000),
    doc: doc ?? "",
    warning: mode === "map" ? openParameters(params) : "",
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
    clusters,
    cluster: clusters.find((name) => name === remembered.cluster) ?? "local",
    guests: (remembered.guests ?? []).filter((name) => clusters.includes(name)),
    map: remembered.map ?? {
      replicas: "",
      concurrency: "",
      retries: retriesText(settings.get("map.retries", 0)),
      timeoutSeconds: "",
      onError: settings.get<MapForm["onError"]>("map.onError", "collect"),
    },
    source: remembered.source ?? { kind: "file", text: "" },
  };
}

/** A map gives one argument: what of the others must be given would be undefined. */
function openParameters([, ...others]: ExportedFunction["params"]): string {
  const names = others.filter(({ optional }) => !optional).map(({ name }) => name);
  if (names.length === 0) return "";
  return vscode.l10n.t(
    "Each input is given as the first argument and nothing else is: {0} will be undefined.",
    names.join(", "),
  );
}

function retriesText(retries: number): string {
  return retries === 0 ? "" : String(retries);
}
