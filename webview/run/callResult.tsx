import { post } from "../host.ts";
import type { RunHeader, TreeNode } from "../messages/run.ts";
import { t } from "../text.ts";
import { formatDuration } from "../ui/format.ts";
import { useNow } from "../ui/hooks.ts";
import { Button, ProgressRing } from "../ui/toolkit.ts";
import { Tree } from "../ui/tree.tsx";
import { getTree } from "./requests.ts";
import { isLive } from "./states.ts";

/** What a call returned. */
export function CallResult({ run, root }: { run: RunHeader; root: TreeNode | null }) {
  const live = isLive(run.state);
  const now = useNow(live);
  if (root) {
    return (
      <div class="call-result">
        <div class="toolbar">
          <span class="space" />
          <Button label={t("Open in editor")} icon="go-to-file" onPress={() => post({ type: "openValue", of: null })} />
        </div>
        <div class="detail-body">
          <Tree label={t("Result")} root={root} load={(path, first, count) => getTree(null, path, first, count)} />
        </div>
      </div>
    );
  }
  if (live) {
    return (
      <div class="empty waiting">
        <ProgressRing />
        <span>{t("Running for {0}", formatDuration(Math.max(0, now - run.createdAtMs)))}</span>
      </div>
    );
  }
  return <p class="empty">{absentText(run)}</p>;
}

function absentText({ state }: RunHeader): string {
  switch (state) {
    case "failed":
      return t("The call failed, so there is no result. The tab Failure says why.");
    case "cancelled":
      return t("The call was cancelled, so there is no result.");
    case "interrupted":
      return t("The call was interrupted, so there is no result.");
    default:
      return t("The result was not kept.");
  }
}
