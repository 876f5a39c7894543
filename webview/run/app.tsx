import { useEffect, useRef, useState } from "preact/hooks";
import type { ConnectionProblem, FailureGroup, RunHeader, TimelineData, TreeNode } from "../messages/run.ts";
import { useStart } from "../start.ts";
import { t } from "../text.ts";
import { Announcer } from "../ui/announcer.tsx";
import { formatCount } from "../ui/numbers.ts";
import { type Tab, Tabs } from "../ui/toolkit.ts";
import { Activity } from "./activity.tsx";
import { CallResult } from "./callResult.tsx";
import { Failures } from "./failures.tsx";
import { Connection } from "./connection.tsx";
import { announcement, Header } from "./header.tsx";
import { LogStore } from "./logStore.ts";
import { Logs } from "./logs.tsx";
import { pageState, type TabId } from "./pageState.ts";
import { Results } from "./results.tsx";
import { RowSource } from "./rowSource.ts";
import { isLive } from "./states.ts";

const rows = new RowSource(pageState.value.view);
const logs = new LogStore(pageState.value.logFilter);

/** The page of a run. */
export function App() {
  const [problem, setProblem] = useState<ConnectionProblem | null>(null);
  const [run, setRun] = useState<RunHeader>();
  const [canRepeat, setCanRepeat] = useState(false);
  const [timeline, setTimeline] = useState<TimelineData>();
  const [failures, setFailures] = useState<{ groups: FailureGroup[]; more: boolean; others: number }>({
    groups: [],
    more: false,
    others: 0,
  });
  const [root, setRoot] = useState<TreeNode | null>(null);
  const [tab, setTab] = useState(pageState.value.tab);
  const [wanted, setWanted] = useState<{ index: number }>();

  const isStarted = useStart((message) => {
    switch (message.type) {
      case "connection":
        // Kept at once: a window that is closed before anything is known of the run must find its panel again.
        pageState.update({ run: message.run, cluster: message.cluster });
        setProblem(message.problem);
        break;
      case "run":
        setRun(message.run);
        setCanRepeat(message.canRepeat);
        break;
      case "timeline":
        setTimeline(message.timeline);
        break;
      case "failures":
        setFailures({ groups: message.groups, more: message.more, others: message.others });
        break;
      case "result":
        setRoot(message.root);
        break;
      default:
    }
  });

  // Rows that could not be had while the cluster was away are asked for again.
  const progress =
    run?.kind === "map"
      ? `${run.state} ${run.done} ${run.accepted} ${problem ? (problem.action ?? "gone") : "connected"}`
      : undefined;
  const isKnown = useRef(false);
  useEffect(() => {
    if (progress === undefined) return;
    if (isKnown.current) rows.refresh();
    else rows.show(pageState.value.view);
    isKnown.current = true;
  }, [progress]);

  const connection = problem && <Connection problem={problem} isKnown={run !== undefined} />;
  if (!isStarted || !run) {
    return <main class="run-page">{connection ?? <p class="empty">{isStarted ? t("Reading the run…") : ""}</p>}</main>;
  }

  const tabs = tabsOf(run, failures.groups.length > 0);
  const first = run.kind === "call" && run.state === "failed" && root === null ? "failures" : tabs[0]?.id;
  const selected = tabs.find(({ id }) => id === tab)?.id ?? first ?? "logs";
  const select = (id: TabId) => {
    setTab(id);
    // An input is shown once, not whenever one comes back to the tab.
    setWanted(undefined);
    pageState.update({ tab: id });
  };
  const showInput = (index: number) => {
    select("results");
    setWanted({ index });
  };

  return (
    <main class="run-page">
      <div>
        <Header run={run} canRepeat={canRepeat} />
        {connection}
      </div>
      <Announcer on={run.state} text={announcement(run)} />
      <Tabs label={t("Run")} tabs={tabs} selected={selected} onSelect={(id) => select(id as TabId)}>
        {selected === "results" && <Results run={run} rows={rows} wanted={wanted} />}
        {selected === "result" && <CallResult run={run} root={root} />}
        {selected === "failures" && (
          <Failures
            {...failures}
            empty={run.failed > 0 || run.kind === "call" ? t("Reading what failed…") : t("No input has failed.")}
            {...(run.kind === "map" ? { onShow: showInput } : {})}
          />
        )}
        {selected === "logs" && <Logs logs={logs} isLive={isLive(run.state)} />}
        {selected === "activity" && <Activity timeline={timeline} />}
      </Tabs>
    </main>
  );
}

function tabsOf(run: RunHeader, hasFailures: boolean): (Tab & { id: TabId })[] {
  if (run.kind === "call") {
    const failure: (Tab & { id: TabId })[] =
      run.state === "failed" || hasFailures ? [{ id: "failures", label: t("Failure") }] : [];
    return [{ id: "result", label: t("Result") }, ...failure, { id: "logs", label: t("Logs") }];
  }
  return [
    { id: "results", label: t("Results") },
    { id: "failures", label: t("Failures"), ...(run.failed > 0 ? { badge: formatCount(run.failed) } : {}) },
    { id: "logs", label: t("Logs") },
    { id: "activity", label: t("Activity") },
  ];
}
