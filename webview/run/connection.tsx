import { post } from "../host.ts";
import type { ConnectionProblem } from "../messages.ts";
import { t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { Icon } from "../ui/icon.tsx";
import { Button } from "../ui/toolkit.ts";

const maxProblemChars = 2_000;

/** Why the run cannot be heard of, with the way out. */
export function Connection({ problem, isKnown }: { problem: ConnectionProblem; isKnown: boolean }) {
  const { action, note } = problem;
  const shownNow = note ?? (isKnown ? t("What is shown is what was last known.") : null);
  return (
    <div class="strip warning connection" role="status">
      <Icon name="warning" />
      <div>
        <p class="message">{shown(problem.text, maxProblemChars)}</p>
        {shownNow !== null && <p class="hint">{shown(shownNow, maxProblemChars)}</p>}
      </div>
      {action !== null && (
        <Button
          label={action === "start" ? t("Start cluster") : t("Retry")}
          icon={action === "start" ? "play" : "refresh"}
          onPress={() => post({ type: "connect", start: action === "start" })}
        />
      )}
    </div>
  );
}
