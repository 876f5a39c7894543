import { useMemo } from "preact/hooks";
import type { TimelineData } from "../messages/run.ts";
import { t } from "../text.ts";
import { Chart } from "../ui/chart.tsx";
import { formatDuration, formatTick, formatPercent, formatRate } from "../ui/format.ts";
import { formatCount } from "../ui/numbers.ts";
import { HeatStrip } from "../ui/heatStrip.tsx";
import { useKeptScroll } from "./keptScroll.ts";

/** How fast a map went over time, and which replicas worked on it. */

export function Activity({ timeline }: { timeline: TimelineData | undefined }) {
  if (!timeline || timeline.done.length === 0) return <p class="empty">{t("Nothing has been worked on yet.")}</p>;
  return <Drawn timeline={timeline} />;
}

function Drawn({ timeline }: { timeline: TimelineData }) {
  const kept = useKeptScroll("activity");
  const drawn = useMemo(() => seriesOf(timeline), [timeline]);
  const steps = timeline.done.length;
  const total = timeline.done.reduce((sum, done) => sum + done, 0);
  const elapsedMs = steps * timeline.stepMs;
  const peak = drawn.rates.reduce((highest, rate) => Math.max(highest, rate), 0);
  const failed = timeline.failed.reduce((sum, each) => sum + each, 0);
  const summary = t(
    "On average {0}, at most {1}, over {2}; {3} failed.",
    formatRate((total / elapsedMs) * 1_000),
    formatRate(peak),
    formatDuration(elapsedMs),
    formatCount(failed),
  );
  return (
    <div class="activity" tabIndex={0} role="region" aria-label={t("Activity")} {...kept}>
      <h2>{t("Inputs per second")}</h2>
      <p class="legend">
        <span class="key key-done" aria-hidden="true" />
        {t("Done")}
        <span class="key key-failed" aria-hidden="true" />
        {t("Failed")}
      </p>
      <Chart
        label={summary}
        seconds={drawn.seconds}
        series={[
          { label: t("Done"), values: drawn.rates, colour: "charts-blue" },
          { label: t("Failed"), values: drawn.failedRates, colour: "charts-red", dashed: true },
        ]}
        formatX={formatTick}
        formatY={(value) => formatCount(value)}
      />
      <p class="faint">{summary}</p>
      {timeline.replicas.length > 0 && (
        <>
          <h2>{t("Replicas")}</h2>
          <ul class="replicas">
            {timeline.replicas.map(({ id, busy }) => {
              const share = busy.reduce((sum, each) => sum + each, 0) / Math.max(1, busy.length);
              return (
                <li key={id}>
                  <span class="replica-name">{t("Replica {0}", id)}</span>
                  <HeatStrip
                    label={t("Replica {0} was busy {1} of the time.", id, formatPercent(share))}
                    shares={busy}
                  />
                  <span class="replica-share">{formatPercent(share)}</span>
                </li>
              );
            })}
          </ul>
        </>
      )}
    </div>
  );
}

function seriesOf({ stepMs, done, failed }: TimelineData) {
  const perSecond = 1_000 / Math.max(1, stepMs);
  return {
    seconds: done.map((_, step) => ((step + 1) * stepMs) / 1_000),
    rates: done.map((count) => count * perSecond),
    failedRates: done.map((_, step) => (failed[step] ?? 0) * perSecond),
  };
}
