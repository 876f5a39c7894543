import * as vscode from "vscode";
import type { EnvSpec, EnvStatus } from "../../runtime/index.ts";
import { replicasText } from "../clusters/words.ts";
import type { Farcall } from "../farcall.ts";
import { LiveTree } from "../liveTree.ts";
import { agoText } from "../words.ts";
import { ProjectFiles } from "./projectFiles.ts";

/** Envs: those that the workspace declares in farcall.json, and those that a cluster has. */
interface ProjectItem {
  kind: "project";
  file: string;
}
interface ClusterGroup {
  kind: "cluster";
  cluster: string;
}
interface DeclaredEnv {
  kind: "declared";
  file: string;
  name: string;
}
interface InstalledEnv {
  kind: "installed";
  cluster: string;
  name: string;
}
interface Packages {
  kind: "packages";
  of: DeclaredEnv | InstalledEnv;
  text: string;
}
export type EnvItem = ProjectItem | ClusterGroup | DeclaredEnv | InstalledEnv | Packages;

export function registerEnvs(farcall: Farcall): vscode.Disposable {
  const projects = new ProjectFiles();
  const declared = ({ file, name }: { file: string; name: string }): EnvSpec | undefined =>
    projects.of(file)?.envs[name];
  const installed = ({ cluster, name }: { cluster: string; name: string }) =>
    farcall.live.state(cluster).envs.find((env) => env.name === name);
  const packagesOf = (item: DeclaredEnv | InstalledEnv): string[] => {
    if (item.kind === "declared") return declared(item)?.reqs ?? [];
    return Object.entries(installed(item)?.dependencies ?? {}).map(([name, version]) => `${name}@${version}`);
  };
  const tree = new LiveTree<EnvItem>(farcall, "farcall.envs", {
    children: (item) => {
      if (!item) {
        const files = projects.all.filter(({ problem, envs }) => problem !== undefined || Object.keys(envs).length > 0);
        const clusters = farcall.live.states.filter(({ envs }) => envs.length > 0);
        return [
          ...files.map(({ file }): EnvItem => ({ kind: "project", file })),
          ...clusters.map(({ name }): EnvItem => ({ kind: "cluster", cluster: name })),
        ];
      }
      switch (item.kind) {
        case "project":
          return Object.keys(projects.of(item.file)?.envs ?? {}).map((name) => ({
            kind: "declared",
            file: item.file,
            name,
          }));
        case "cluster":
          return farcall.live
            .state(item.cluster)
            .envs.map(({ name }) => ({ kind: "installed", cluster: item.cluster, name }));
        case "declared":
        case "installed":
          return packagesOf(item).map((text) => ({ kind: "packages", of: item, text }));
        case "packages":
          return [];
      }
    },
    show: (item) => {
      switch (item.kind) {
        case "project":
          return projectItem(item.file, projects);
        case "cluster":
          return clusterGroup(item.cluster);
        case "declared":
          return declaredItem(item, declared(item), installed({ cluster: usualCluster, name: item.name }));
        case "installed":
          return installedItem(item, installed(item));
        case "packages": {
          const shown = new vscode.TreeItem(item.text);
          const { of } = item;
          shown.id = `package:${of.kind === "declared" ? of.file : of.cluster}:${of.name}:${item.text}`;
          shown.iconPath = new vscode.ThemeIcon("package");
          return shown;
        }
      }
    },
    parent: () => undefined,
    hasChildren: true,
    known: () => Promise.all([projects.found, farcall.live.firstLook()]),
  });
  return vscode.Disposable.from(
    tree,
    projects,
    projects.onDidChange(() => tree.refresh()),
  );
}

/** Functions run there unless something else is said. */
const usualCluster = "local";

function projectItem(file: string, projects: ProjectFiles): vscode.TreeItem {
  const uri = vscode.Uri.file(file);
  const item = new vscode.TreeItem(vscode.l10n.t("Workspace"), vscode.TreeItemCollapsibleState.Expanded);
  item.id = `project:${file}`;
  item.description = vscode.workspace.asRelativePath(uri, projects.all.length > 1);
  item.iconPath = new vscode.ThemeIcon("root-folder");
  item.contextValue = "envs project";
  const problem = projects.of(file)?.problem;
  if (problem !== undefined) {
    item.iconPath = new vscode.ThemeIcon("error", new vscode.ThemeColor("list.errorForeground"));
    item.description = vscode.l10n.t("{0} cannot be read", item.description);
    item.tooltip = problem;
  }
  item.command = { command: "vscode.open", title: vscode.l10n.t("Open"), arguments: [uri] };
  return item;
}

function clusterGroup(cluster: string): vscode.TreeItem {
  const item = new vscode.TreeItem(vscode.l10n.t("Cluster {0}", cluster), vscode.TreeItemCollapsibleState.Expanded);
  item.id = `envs:${cluster}`;
  item.iconPath = new vscode.ThemeIcon("vm");
  item.contextValue = "envs cluster";
  return item;
}

function declaredItem(env: DeclaredEnv, spec: EnvSpec | undefined, status: EnvStatus | undefined): vscode.TreeItem {
  const { file, name } = env;
  const reqs = spec?.reqs ?? [];
  const item = new vscode.TreeItem(
    name,
    reqs.length > 0 ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None,
  );
  item.id = `env:${file}:${name}`;
  item.contextValue = `env project${status ? " cluster" : ""}`;
  item.iconPath = new vscode.ThemeIcon("layers");
  const parts = [packagesText(reqs.length)];
  if (spec?.replicas !== undefined) parts.push(replicasText(spec.replicas));
  parts.push(declaredState(reqs, status));
  item.description = parts.join(" · ");
  item.accessibilityInformation = { label: vscode.l10n.t("Env {0}, {1}", name, item.description) };
  item.tooltip = reqs.join("\n");
  item.command = { command: "farcall.envs.edit", title: vscode.l10n.t("Edit Env"), arguments: [env] };
  return item;
}

function installedItem({ cluster, name }: InstalledEnv, env: EnvStatus | undefined): vscode.TreeItem {
  const packages = Object.keys(env?.dependencies ?? {});
  const item = new vscode.TreeItem(
    name,
    packages.length > 0 ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None,
  );
  item.id = `env:${cluster}:${name}`;
  item.contextValue = "env cluster";
  if (!env) return item;
  item.iconPath = stateIcon(env.state);
  const replicas = env.replicas === null ? vscode.l10n.t("a replica for each core") : replicasText(env.replicas);
  item.description = [stateText(env.state), packagesText(packages.length), replicas, agoText(env.usedAtMs)].join(" · ");
  const lines = [
    vscode.l10n.t("{0} alive now, {1} inputs at a time each", replicasText(env.liveReplicas), env.concurrency),
    ...(env.varNames.length > 0 ? [vscode.l10n.t("Variables: {0}", env.varNames.join(", "))] : []),
    ...(env.error === undefined ? [] : [env.error]),
  ];
  item.tooltip = lines.join("\n");
  item.accessibilityInformation = { label: vscode.l10n.t("Env {0}, {1}", name, item.description) };
  return item;
}

/** A cluster has one env of a name, while several files may declare one, and may have changed since. */
function declaredState(reqs: readonly string[], status: EnvStatus | undefined): string {
  if (!status) return vscode.l10n.t("not installed yet");
  const sorted = (list: readonly string[]) => JSON.stringify([...list].sort());
  if (sorted(reqs) !== sorted(status.reqs)) return vscode.l10n.t("changed, installed at the next run");
  return stateText(status.state);
}

function packagesText(count: number): string {
  if (count === 0) return vscode.l10n.t("no packages");
  return count === 1 ? vscode.l10n.t("1 package") : vscode.l10n.t("{0} packages", count);
}

function stateText(state: EnvStatus["state"]): string {
  switch (state) {
    case "ready":
      return vscode.l10n.t("ready");
    case "installing":
      return vscode.l10n.t("installing");
    case "failed":
      return vscode.l10n.t("failed");
    case "absent":
      return vscode.l10n.t("not installed");
  }
}

function stateIcon(state: EnvStatus["state"]): vscode.ThemeIcon {
  switch (state) {
    case "ready":
      return new vscode.ThemeIcon("layers-active");
    case "installing":
      return new vscode.ThemeIcon("loading~spin");
    case "failed":
      return new vscode.ThemeIcon("error", new vscode.ThemeColor("list.errorForeground"));
    case "absent":
      return new vscode.ThemeIcon("layers");
  }
}
