import { post } from "../host.ts";
import type { ConnectionProblem } from "../messages.ts";
import { t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { Icon } from "../ui/icon.tsx";
import { Button } from "../ui/toolkit.ts";

const maxProblemChars = 2_000;

/** Why the run cannot be heard of, with the way out. */
export function Connection({ problem, isKnown }: { problem: ConnectionProblem; isKnown: boolean }) {
  const starts = problem.action === "start";
  return (
    <div class="strip warning connection" role="status">
      <Icon name="warning" />
      <div>
        <p class="message">{shown(problem.text, maxProblemChars)}</p>
        {isKnown && <p class="hint">{t("What is shown is what was last known.")}</p>}
      </div>
      <Button
        label={starts ? t("Start cluster") : t("Retry")}
        icon={starts ? "play" : "refresh"}
        onPress={() => post({ type: "connect", start: starts })}
      />
    </div>
  );
}
