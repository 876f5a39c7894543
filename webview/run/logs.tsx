import { useEffect, useRef, useState } from "preact/hooks";
import { post } from "../host.ts";
import { counted, t } from "../text.ts";
import { Ansi } from "../ui/ansi.tsx";
import { formatClock } from "../ui/format.ts";
import { formatCount } from "../ui/numbers.ts";
import { useObservable } from "../ui/hooks.ts";
import { useRowPx } from "../ui/lineHeight.ts";
import { Button, Dropdown, TextField } from "../ui/toolkit.ts";
import { VirtualList, type ListHandle } from "../ui/virtualList.tsx";
import type { LogStore } from "./logStore.ts";
import { type LogFilter, noLogFilter, pageState } from "./pageState.ts";

/** What the function printed. The newest line stays in sight unless one scrolls up. */

const leastRowPx = 20;
const headerPx = 24;
const filterAfterMs = 150;
const maxWidthChars = 4_000;
/** Of time, replica, stream and input, for rows of that least height. */
const columnsPx = [132, 80, 80, 88];

export function Logs({ logs, isLive }: { logs: LogStore; isLive: boolean }) {
  useObservable(logs);
  const rowPx = useRowPx("log-grid", leastRowPx);
  const { shown, gone } = logs;
  const count = shown.length;
  const last = Math.max(0, count - 1);
  /** Counted from the first line that was ever shown: older ones go, and the line that has the focus keeps it. */
  const [active, setActive] = useState<number | null>(null);
  const list = useRef<ListHandle | null>(null);
  const [follows, setFollows] = useState(pageState.value.logFromMs === null);
  /** Where the log was left, until a line from there on has come. */
  const leftAtMs = useRef(pageState.value.logFromMs);
  useEffect(() => {
    const fromMs = leftAtMs.current;
    if (fromMs === null) return;
    // More lines may have come since this was drawn, which the list does not know of yet.
    const position = shown.findIndex(({ timeMs }, at) => at < count && timeMs >= fromMs);
    if (position >= 0 && list.current?.showFirst(position)) leftAtMs.current = null;
  }, [count]);
  const keepPlace = (first: number) => {
    if (!follows && leftAtMs.current === null) pageState.updateSoon({ logFromMs: shown[first]?.timeMs ?? null });
  };
  const follow = (atEnd: boolean) => {
    leftAtMs.current = null;
    setFollows(atEnd);
    if (atEnd) pageState.update({ logFromMs: null });
  };

  const setFilter = (filter: LogFilter) => {
    logs.setFilter(filter);
    pageState.update({ logFilter: filter });
    setActive(null);
    follow(true);
  };
  const jump = () => {
    follow(true);
    setActive(null);
    list.current?.show(last);
  };

  const row = (position: number) => {
    const line = shown[position];
    if (!line) return null;
    return (
      <>
        <div class="cell time" role="gridcell" aria-colindex={1}>
          {formatClock(line.timeMs)}
        </div>
        <div class="cell number" role="gridcell" aria-colindex={2}>
          {line.replica}
        </div>
        <div class="cell" role="gridcell" aria-colindex={3}>
          {line.stream}
        </div>
        <div class="cell number" role="gridcell" aria-colindex={4}>
          {line.index === undefined ? "" : formatCount(line.index)}
        </div>
        <div class="cell text" role="gridcell" aria-colindex={5}>
          <Ansi text={line.text} />
        </div>
      </>
    );
  };
  const scaled = columnsPx.map((width) => Math.round((width * rowPx) / leastRowPx));
  const columns = {
    "--log-columns": `${scaled.map((width) => `${width}px`).join(" ")} 1fr`,
    "--fixed": `${scaled.reduce((sum, width) => sum + width, 0)}px`,
  };
  const heads = [t("Time"), t("Replica"), t("Stream"), t("Input"), t("Text")];
  const isFiltered = logs.filter !== noLogFilter && JSON.stringify(logs.filter) !== JSON.stringify(noLogFilter);

  return (
    <div class="logs">
      <LogToolbar logs={logs} onChange={setFilter} />
      {logs.dropped > 0 && (
        <p class="note">
          {counted(
            logs.dropped,
            "{0} older line is not shown; the full log has it.",
            "{0} older lines are not shown; the full log has them.",
          )}
        </p>
      )}
      {shown.length === 0 ? (
        <p class="empty">
          {isFiltered && !logs.isEmpty
            ? t("No line passes the filter.")
            : isLive
              ? t("Nothing has been printed yet.")
              : t("Nothing was printed.")}
        </p>
      ) : (
        <VirtualList
          label={t("Log")}
          class="log-grid"
          style={{ ...columns, "--chars": `${Math.min(maxWidthChars, logs.widestChars) + 2}ch` }}
          count={count}
          rowPx={rowPx}
          headerPx={headerPx}
          columns={heads.length}
          header={heads.map((head, column) => (
            <div key={column} class="cell" role="columnheader" aria-colindex={column + 1}>
              {head}
            </div>
          ))}
          row={row}
          rowClass={(position) => (shown[position]?.stream === "stderr" ? "stderr" : "")}
          active={active === null ? last : Math.min(Math.max(0, active - gone), last)}
          onActive={(position) => setActive(position + gone)}
          onWindow={keepPlace}
          followEnd={follows}
          onFollow={follow}
          gone={gone}
          handle={list}
        />
      )}
      {!follows && shown.length > 0 && (
        <div class="jump">
          <Button label={t("Jump to the end")} icon="arrow-down" look="primary" onPress={jump} />
        </div>
      )}
    </div>
  );
}

function LogToolbar({ logs, onChange }: { logs: LogStore; onChange: (filter: LogFilter) => void }) {
  const { filter } = logs;
  const [text, setText] = useState(filter.text);
  useEffect(() => {
    if (text === filter.text) return undefined;
    const timer = setTimeout(() => onChange({ ...logs.filter, text }), filterAfterMs);
    return () => clearTimeout(timer);
  }, [text]);
  const known = logs.replicas.map(String);
  const replicas = filter.replica === "all" || known.includes(filter.replica) ? known : [filter.replica, ...known];
  return (
    <div class="toolbar">
      <TextField label={t("Filter log")} placeholder={t("Filter log")} value={text} onInput={setText} />
      <Dropdown
        label={t("Stream")}
        value={filter.stream}
        choices={[
          { value: "all", label: t("All streams") },
          { value: "stdout", label: "stdout" },
          { value: "stderr", label: "stderr" },
          { value: "log", label: "log" },
        ]}
        onChange={(stream) => onChange({ ...logs.filter, stream: stream as LogFilter["stream"] })}
      />
      <Dropdown
        label={t("Replica")}
        value={filter.replica}
        choices={[
          { value: "all", label: t("All replicas") },
          ...replicas.map((replica) => ({ value: replica, label: t("Replica {0}", replica) })),
        ]}
        onChange={(replica) => onChange({ ...logs.filter, replica })}
      />
      <span class="space" />
      <Button label={t("Open full log")} icon="go-to-file" onPress={() => post({ type: "openFullLog" })} />
    </div>
  );
}
