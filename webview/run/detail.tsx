import { useEffect, useRef, useState } from "preact/hooks";
import { post } from "../host.ts";
import type { ResultRow, TreeNode } from "../messages/run.ts";
import { counted, t } from "../text.ts";
import { formatBytes, shown } from "../ui/format.ts";
import { formatCount } from "../ui/numbers.ts";
import { Icon } from "../ui/icon.tsx";
import { Button } from "../ui/toolkit.ts";
import { Tree } from "../ui/tree.tsx";
import { getRoot, getTree } from "./requests.ts";
import { rowIcon } from "./states.ts";

/** One outcome: its value as a tree, how many attempts it took and how large it is. */

const maxProblemChars = 5_000;

export interface DetailProps {
  index: number;
  /** The row of the input, if it is at hand: it may have been scrolled far away, or be none of the view's any more. */
  row: ResultRow | undefined;
  onClose: () => void;
}

/** One of its own for each input. */
export function Detail({ index, row: given, onClose }: DetailProps) {
  const known = useRef(given);
  if (given) known.current = given;
  const row = known.current;
  const [answer, setAnswer] = useState<{ root: TreeNode | undefined; problem: string | null }>();
  // An outcome does not change, so it is read once.
  const isPending = row?.state === "pending";
  useEffect(() => {
    if (isPending) return undefined;
    let isWanted = true;
    void getRoot(index).then((root) => isWanted && setAnswer(root));
    return () => void (isWanted = false);
  }, [index, isPending]);

  const icon = row && rowIcon(row.state);
  return (
    <section class="detail" aria-label={t("Input {0}", formatCount(index))}>
      <div class="detail-head">
        <div class="detail-facts">
          <h2>{t("Input {0}", formatCount(index))}</h2>
          {icon && row && (
            <span class="state">
              <Icon name={icon.icon} {...(icon.tone ? { tone: icon.tone } : {})} />
              {icon.text}
            </span>
          )}
          {row && !isPending && (
            <span class="faint">
              {counted(row.attempts, "{0} attempt, {1}", "{0} attempts, {1}", formatBytes(row.sizeBytes))}
            </span>
          )}
        </div>
        {!isPending && (
          <Button
            label={t("Open in editor")}
            icon="go-to-file"
            onPress={() => post({ type: "openValue", of: index })}
          />
        )}
        <Button label={t("Close (Escape)")} look="icon" icon="close" onPress={onClose} />
      </div>
      <div class="detail-body">
        {isPending && <p class="empty">{t("This input has no outcome yet.")}</p>}
        {!isPending && answer === undefined && <p class="empty">{t("Reading the value…")}</p>}
        {answer && answer.problem !== null && <p class="problem">{shown(answer.problem, maxProblemChars)}</p>}
        {answer?.root && (
          <Tree
            key={index}
            label={t("Value of input {0}", formatCount(index))}
            root={answer.root}
            load={(path, first, count) => getTree(index, path, first, count)}
          />
        )}
      </div>
    </section>
  );
}
