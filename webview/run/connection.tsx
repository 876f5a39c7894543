import { post } from "../host.ts";
import type { ConnectionProblem } from "../messages/run.ts";
import { t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { Strip } from "../ui/strip.tsx";
import { Button } from "../ui/toolkit.ts";

const maxProblemChars = 2_000;

/** Why the run cannot be heard of, with the way out. */
export function Connection({ problem, isKnown }: { problem: ConnectionProblem; isKnown: boolean }) {
  const { action, note } = problem;
  const shownNow = note ?? (isKnown ? t("What is shown is what was last known.") : null);
  return (
    <Strip
      tone="warning"
      role="status"
      class="connection"
      text={shown(problem.text, maxProblemChars)}
      hint={shownNow && shown(shownNow, maxProblemChars)}
    >
      {action !== null && (
        <Button
          label={action === "start" ? t("Start cluster") : t("Retry")}
          icon={action === "start" ? "play" : "refresh"}
          onPress={() => post({ type: "connect", start: action === "start" })}
        />
      )}
    </Strip>
  );
}
