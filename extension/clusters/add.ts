import * as vscode from "vscode";
import type { ClusterSpec } from "../../runtime/index.ts";
import { checkName } from "../../runtime/spec/names.ts";
import type { Farcall } from "../farcall.ts";
import { tell } from "../failure.ts";
import { chosenHosts, typedHosts } from "./hosts.ts";
import { inView } from "./lifecycle.ts";

/** Asks for a name and for machines, and makes a cluster of them. */
export async function addCluster(farcall: Farcall): Promise<void> {
  await farcall.registered.look();
  const name = await askName(farcall);
  if (name === undefined) return;
  const hosts = await askHosts(await configuredHosts(farcall));
  if (hosts === undefined) return;
  // One machine has no others to get through to.
  const relay = hosts.length > 1 ? await askRelay() : false;
  if (relay === undefined) return;
  await bringUp(farcall, { name, hosts, ...(relay ? { relay } : {}) });
}

async function bringUp(farcall: Farcall, spec: ClusterSpec & { hosts: string[] }): Promise<void> {
  const { name, hosts } = spec;
  try {
    const cluster = await farcall.define(spec);
    const title = vscode.l10n.t("Adding the cluster {0}", name);
    await inView(farcall, name, title, (signal, onProgress) => cluster.up({ signal, onProgress }));
    void vscode.window.showInformationMessage(
      hosts.length === 1
        ? vscode.l10n.t("The cluster {0} is up.", name)
        : vscode.l10n.t("The cluster {0} is up: {1} nodes.", name, hosts.length),
    );
  } catch (error) {
    // Of what got no further than to be asked for, there is nothing to keep.
    await farcall.registered.look();
    if (farcall.registered.of(name).record === undefined) farcall.forget(name);
    const action = { title: vscode.l10n.t("Try Again"), run: () => bringUp(farcall, spec) };
    void tell(farcall, vscode.l10n.t("Cannot add the cluster {0}.", name), error, { cluster: name, action });
  } finally {
    farcall.live.refresh(name);
  }
}

function askName(farcall: Farcall): Thenable<string | undefined> {
  return vscode.window.showInputBox({
    title: vscode.l10n.t("Add Cluster of Your Machines (1/3)"),
    prompt: vscode.l10n.t("A name for the cluster, such as lab"),
    ignoreFocusOut: true,
    validateInput: (text) => {
      if (farcall.clusterNames.includes(text)) return vscode.l10n.t("There is a cluster {0} already.", text);
      try {
        checkName("cluster", text);
        return undefined;
      } catch (error) {
        return text === "" ? vscode.l10n.t("A name is needed.") : (error as Error).message;
      }
    },
  });
}

/** An ssh configuration that cannot be read suggests nothing; whoever connects is told of it. */
async function configuredHosts(farcall: Farcall): Promise<string[]> {
  try {
    const { SshConfigFile } = await import("../../runtime/transport/ssh/config.ts");
    return SshConfigFile.load().hosts;
  } catch (error) {
    farcall.log.warn(String(error));
    return [];
  }
}

interface HostItem extends vscode.QuickPickItem {
  /** As typed, rather than from the ssh configuration. */
  isTyped: boolean;
}

async function askHosts(configured: readonly string[]): Promise<string[] | undefined> {
  const pick = vscode.window.createQuickPick<HostItem>();
  pick.title = vscode.l10n.t("Add Cluster of Your Machines (2/3)");
  pick.placeholder = vscode.l10n.t(
    "Machines: pick hosts of your ssh config, or type user@address, several with spaces",
  );
  pick.canSelectMany = true;
  pick.ignoreFocusOut = true;
  const known = configured.map((label): HostItem => ({
    label,
    description: vscode.l10n.t("from the ssh config"),
    isTyped: false,
  }));
  pick.items = known;
  const answer = await new Promise<string[] | undefined>((resolve) => {
    pick.onDidChangeValue((text) => {
      // What was typed stands in the list as well, so that it can be seen what Enter takes.
      const typed = typedHosts(text).filter((host) => !configured.includes(host));
      const kept = pick.selectedItems;
      const keptTyped = kept.filter(({ isTyped, label }) => isTyped && !typed.includes(label));
      const items = typed.map((label): HostItem => ({
        label,
        description: vscode.l10n.t("as typed"),
        alwaysShow: true,
        isTyped: true,
      }));
      pick.items = [...items, ...keptTyped, ...known];
      pick.selectedItems = pick.items.filter(({ label }) => kept.some((each) => each.label === label));
    });
    pick.onDidAccept(() => {
      const hosts = chosenHosts(
        pick.selectedItems.map(({ label }) => label),
        pick.value,
      );
      if (hosts.length > 0) resolve(hosts);
    });
    pick.onDidHide(() => resolve(undefined));
    pick.show();
  });
  pick.dispose();
  return answer;
}

/** Whether machines that do not get through to the others are used as well. */
async function askRelay(): Promise<boolean | undefined> {
  const choices = [
    {
      label: vscode.l10n.t("All machines get through to each other"),
      detail: vscode.l10n.t("One that does not is named, and nothing is begun."),
      relay: false,
    },
    {
      label: vscode.l10n.t("Relay those that do not get through"),
      detail: vscode.l10n.t("Their traffic goes through this computer, so they work while it is connected."),
      relay: true,
    },
  ];
  const picked = await vscode.window.showQuickPick(choices, {
    title: vscode.l10n.t("Add Cluster of Your Machines (3/3)"),
    placeHolder: vscode.l10n.t("Does every machine get through to the others?"),
    ignoreFocusOut: true,
  });
  return picked?.relay;
}
