import * as vscode from "vscode";
import { checkMapOptions, type MapOptions } from "../../runtime/spec/map.ts";
import type { MapForm } from "../../webview/messages/launch.ts";
import { parseField } from "../lenses/parameters.ts";

/** The options of a map that the texts of its form stand for. Throws `spec.invalid` for what cannot be. */
export function mapOptionsOf(form: MapForm): MapOptions {
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
