import { listen, post } from "../host.ts";
import type { ToExtension } from "../messages/toExtension.ts";
import type { TreeNode } from "../messages/run.ts";

/** Questions to the extension that are answered with the number they were asked under. */

let last = 0;
export function nextRequest(): number {
  return ++last;
}

type TreeAnswer = { nodes: TreeNode[]; problem: string | null };
const waiting = new Map<number, (answer: TreeAnswer) => void>();

listen((message) => {
  if (message.type !== "tree") return;
  waiting.get(message.request)?.({ nodes: message.nodes, problem: message.problem });
  waiting.delete(message.request);
});

export function getTree(
  of: Extract<ToExtension, { type: "getTree" }>["of"],
  path: readonly number[],
  first: number,
  count: number,
): Promise<TreeAnswer> {
  return new Promise((resolve) => {
    const request = nextRequest();
    waiting.set(request, resolve);
    post({ type: "getTree", request, of, path: [...path], first, count });
  });
}

/** The value itself: no children of the root are asked for. */
export async function getRoot(of: number): Promise<{ root: TreeNode | undefined; problem: string | null }> {
  const { nodes, problem } = await getTree(of, [], 0, 0);
  return { root: nodes[0], problem };
}
