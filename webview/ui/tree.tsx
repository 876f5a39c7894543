import { useEffect, useRef, useState } from "preact/hooks";
import type { TreeNode } from "../messages/run.ts";
import { counted, t } from "../text.ts";
import { shown } from "./format.ts";
import { formatCount } from "./numbers.ts";
import { Icon } from "./icon.tsx";

/** A value as a tree that is read as it is opened, a hundred children at a time. */

type LoadChildren = (
  path: readonly number[],
  first: number,
  count: number,
) => Promise<{ nodes: TreeNode[]; problem: string | null }>;

export interface TreeProps {
  label: string;
  root: TreeNode;
  load: LoadChildren;
}

const pageSize = 100;
const maxChars = 10_000;
const maxKeyChars = 200;

interface Shared {
  load: LoadChildren;
  active: string;
}

const pathOf = (path: readonly number[]) => `/${path.join("/")}`;

export function Tree({ label, root, load }: TreeProps) {
  const element = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(pathOf([]));

  const onKeyDown = (event: KeyboardEvent) => {
    const item = (event.target as HTMLElement).closest<HTMLElement>('[role="treeitem"]');
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const items = [...(element.current?.querySelectorAll<HTMLElement>('[role="treeitem"]') ?? [])];
    const at = items.indexOf(item);
    const expanded = item.getAttribute("aria-expanded");
    const press = () => item.click();
    switch (event.key) {
      case "ArrowDown":
        items[at + 1]?.focus();
        break;
      case "ArrowUp":
        items[at - 1]?.focus();
        break;
      case "Home":
        items[0]?.focus();
        break;
      case "End":
        items.at(-1)?.focus();
        break;
      case "ArrowRight":
        if (expanded === "false") press();
        else if (expanded === "true") items[at + 1]?.focus();
        break;
      case "ArrowLeft":
        if (expanded === "true") press();
        else items.find(({ dataset }) => dataset["path"] === item.dataset["parent"])?.focus();
        break;
      case "Enter":
      case " ":
        press();
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div
      ref={element}
      class="tree"
      role="tree"
      aria-label={label}
      onKeyDown={onKeyDown}
      onFocusIn={(event) => {
        const path = (event.target as HTMLElement).dataset["path"];
        if (path !== undefined) setActive(path);
      }}
    >
      <Item node={root} path={[]} position={1} siblings={1} shared={{ load, active }} isOpen />
    </div>
  );
}

interface ItemProps {
  node: TreeNode;
  path: readonly number[];
  position: number;
  siblings: number;
  shared: Shared;
  isOpen?: boolean;
}

function Item({ node, path, position, siblings, shared, isOpen = false }: ItemProps) {
  const [expanded, setExpanded] = useState(isOpen && node.children > 0);
  const [children, setChildren] = useState<TreeNode[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  const own = pathOf(path);
  const loading = useRef(false);
  const isThere = useRef(true);
  useEffect(() => () => void (isThere.current = false), []);

  const loadMore = async () => {
    if (loading.current) return;
    loading.current = true;
    const answer = await shared.load(path, children.length, Math.min(pageSize, node.children - children.length));
    loading.current = false;
    if (!isThere.current) return;
    const asker = document.activeElement;
    if (asker instanceof HTMLElement && asker.dataset["path"] === `${own}+`) {
      // It may be gone when all children are there.
      requestAnimationFrame(() => {
        const first = pathOf([...path, children.length]);
        document.querySelector<HTMLElement>(`[role="treeitem"][data-path="${first}"]`)?.focus();
      });
    }
    setChildren((before) => [...before, ...answer.nodes]);
    setProblem(answer.problem);
  };
  useEffect(() => {
    if (expanded && children.length === 0 && node.children > 0) void loadMore();
  }, [expanded]);

  const canOpen = node.children > 0;
  const key = shown(node.key, maxKeyChars);
  const text = shown(node.text, maxChars);
  const remaining = node.children - children.length;
  const parent = path.length > 0 ? pathOf(path.slice(0, -1)) : undefined;
  // Items follow one another, and say themselves how deep they lie.
  return (
    <>
      <div
        class="tree-row"
        role="treeitem"
        aria-expanded={canOpen ? expanded : undefined}
        aria-level={path.length + 1}
        aria-posinset={position}
        aria-setsize={siblings}
        tabIndex={shared.active === own ? 0 : -1}
        data-path={own}
        data-parent={parent}
        style={{ paddingInlineStart: `${path.length * 16}px` }}
        onClick={() => canOpen && setExpanded(!expanded)}
      >
        <span class="tree-twist">{canOpen && <Icon name={expanded ? "chevron-down" : "chevron-right"} />}</span>
        {key !== "" && <span class="tree-key">{`${key}: `}</span>}
        <span class={`tree-value kind-${node.kind}`}>{text}</span>
      </div>
      {expanded &&
        children.map((child, index) => (
          <Item
            key={index}
            node={child}
            path={[...path, index]}
            position={index + 1}
            siblings={node.children}
            shared={shared}
          />
        ))}
      {expanded && problem !== null && (
        <div class="tree-row problem" role="treeitem" aria-level={path.length + 2} tabIndex={-1} data-parent={own}>
          {shown(problem, maxChars)}
        </div>
      )}
      {expanded && problem === null && children.length > 0 && remaining > 0 && (
        <div
          class="tree-row tree-more"
          role="treeitem"
          aria-level={path.length + 2}
          tabIndex={shared.active === `${own}+` ? 0 : -1}
          data-path={`${own}+`}
          data-parent={own}
          style={{ paddingInlineStart: `${(path.length + 1) * 16 + 20}px` }}
          onClick={() => void loadMore()}
        >
          {remaining > pageSize
            ? t("Show 100 more of {0}", formatCount(remaining))
            : counted(remaining, "Show one more", "Show {0} more")}
        </div>
      )}
    </>
  );
}
