import * as vscode from "vscode";
import type { Farcall } from "./farcall.ts";

/**
 * A tree view over what is known of the clusters. While it is visible, that is kept fresh; an item is drawn
 * again only when it looks different, so nothing flickers and selections stay. Items are told apart by the ids of their rows, and
 * each is one object for as long as it is there: VS Code hands these to commands, also while a view changes.
 */
export interface LiveTreeOptions<T> {
  children: (item: T | undefined) => T[];
  show: (item: T) => vscode.TreeItem;
  parent: (item: T) => T | undefined;
  /** Whether rows may have rows below them. */
  hasChildren?: boolean;
  badge?: () => vscode.ViewBadge | undefined;
  /** Until it is known what there is, an empty view would say that there is nothing. */
  known?: () => Promise<unknown>;
}

const refreshEveryMs = 250;
/** Texts such as "3 min ago" grow old by themselves. */
const agingMs = 30_000;

export class LiveTree<T> implements vscode.Disposable, vscode.TreeDataProvider<T> {
  readonly view: vscode.TreeView<T>;
  readonly #options: LiveTreeOptions<T>;
  readonly #changed = new vscode.EventEmitter<T[] | undefined>();
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #disposables: vscode.Disposable[];
  readonly #farcall: Farcall;
  /** The object that stands for an item, by the id of its row. */
  readonly #items = new Map<string, T>();
  /** How each row looked when VS Code last heard of it. */
  #shown = new Map<string, Look>();
  #shownRoots = "";
  #hold: vscode.Disposable | undefined;
  #timer: NodeJS.Timeout | undefined;
  #aging: NodeJS.Timeout | undefined;

  constructor(farcall: Farcall, id: string, options: LiveTreeOptions<T>) {
    this.#farcall = farcall;
    this.#options = options;
    this.view = vscode.window.createTreeView(id, {
      treeDataProvider: this,
      showCollapseAll: options.hasChildren ?? false,
    });
    this.#disposables = [
      this.view,
      this.#changed,
      this.view.onDidChangeVisibility(({ visible }) => this.#visible(visible)),
      farcall.live.onDidChange(() => this.refresh()),
    ];
    if (this.view.visible) this.#visible(true);
  }

  async getChildren(item?: T): Promise<T[]> {
    if (item === undefined) await this.#options.known?.();
    // VS Code asks for children while a view is being shown, before it says that it is visible.
    if (item === undefined) this.#look();
    return this.#children(item);
  }

  getTreeItem(item: T): vscode.TreeItem {
    return this.#options.show(item);
  }

  getParent(item: T): T | undefined {
    const parent = this.#options.parent(item);
    return parent && this.#canonical(parent);
  }

  /** Soon, and only what looks different. */
  refresh(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const badge = this.#options.badge?.();
      if (badge?.value !== this.view.badge?.value) this.view.badge = badge;
      if (!this.view.visible) return;
      const before = this.#shown;
      const rootsBefore = this.#shownRoots;
      this.#look();
      if (rootsBefore !== this.#shownRoots) {
        this.#changed.fire(undefined);
        return;
      }
      const different = [...this.#shown].filter(([id, { text }]) => before.get(id)?.text !== text);
      // Drawing a row draws those below it as well.
      const ids = new Set(different.map(([id]) => id));
      const top = different.filter(([, { above }]) => !above.some((id) => ids.has(id)));
      if (top.length > 0) this.#changed.fire(top.map(([id]) => this.#items.get(id)!));
    }, refreshEveryMs);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#aging);
    this.#hold?.dispose();
    for (const each of this.#disposables) each.dispose();
  }

  #visible(visible: boolean): void {
    clearInterval(this.#aging);
    if (visible) {
      this.#hold ??= this.#farcall.live.hold();
      this.#aging = setInterval(() => this.refresh(), agingMs);
      this.refresh();
    } else {
      this.#hold?.dispose();
      this.#hold = undefined;
    }
  }

  #children(item: T | undefined): T[] {
    return this.#options.children(item).map((child) => this.#canonical(child));
  }

  #canonical(item: T): T {
    const { id } = this.#options.show(item);
    if (id === undefined) return item;
    const known = this.#items.get(id);
    if (known !== undefined) return known;
    this.#items.set(id, item);
    return item;
  }

  /** Notes how everything looks now. */
  #look(): void {
    const looks = new Map<string, Look>();
    const draw = (item: T, above: string[]): void => {
      const { id = "", label, description, contextValue, iconPath, collapsibleState } = this.#options.show(item);
      const children = this.#children(item);
      const ids = children.map((child) => this.#options.show(child).id);
      looks.set(id, {
        text: JSON.stringify([label, description, contextValue, iconPath, collapsibleState, ids]),
        above,
      });
      for (const child of children) draw(child, [...above, id]);
    };
    const roots = this.#children(undefined);
    for (const root of roots) draw(root, []);
    this.#shown = looks;
    this.#shownRoots = JSON.stringify(roots.map((root) => this.#options.show(root).id));
    for (const id of this.#items.keys()) if (!looks.has(id)) this.#items.delete(id);
  }
}

interface Look {
  text: string;
  /** Ids of the rows above it. */
  above: string[];
}
