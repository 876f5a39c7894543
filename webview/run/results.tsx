import { useEffect, useRef, useState } from "preact/hooks";
import { listen, post } from "../host.ts";
import { defaultView, type ResultView, type RunHeader } from "../messages/run.ts";
import { t } from "../text.ts";
import { formatPercent, shown } from "../ui/format.ts";
import { useObservable } from "../ui/hooks.ts";
import { Strip } from "../ui/strip.tsx";
import { Button, Checkbox, TextField } from "../ui/toolkit.ts";
import type { ListHandle } from "../ui/virtualList.tsx";
import { Detail } from "./detail.tsx";
import { Grid } from "./grid.tsx";
import { noResultsPlace, pageState } from "./pageState.ts";
import type { RowSource } from "./rowSource.ts";
import { isLive } from "./states.ts";

/** The outcomes of a map's inputs: filter, sort, look into one, save. */

export interface ResultsProps {
  run: RunHeader;
  rows: RowSource;
  /** An input to be shown, from another tab. */
  wanted: { index: number } | undefined;
}

/** The input whose value is shown, and at which position it was opened, unless the run went on and it moved. */
interface Selected {
  index: number;
  openedAt: number | null;
}

const filterAfterMs = 250;
const maxProblemChars = 2_000;

export function Results({ run, rows, wanted }: ResultsProps) {
  useObservable(rows);
  const place = useRef(wanted ? noResultsPlace : pageState.value.results).current;
  const [active, setActive] = useState(place.active);
  const [selected, setSelected] = useState<Selected | null>(
    place.open === null ? null : { index: place.open, openedAt: null },
  );
  const list = useRef<ListHandle | null>(null);
  const { view } = rows;

  const show = (change: Partial<ResultView>) => {
    const next = { ...rows.view, ...change };
    rows.show(next);
    pageState.update({ view: next });
    setSelected(null);
    setOpening(null);
    setActive(0);
    list.current?.show(0);
  };

  useEffect(() => {
    if (!wanted) return;
    // In input order the position of a row is the number of its input.
    show(defaultView);
    setActive(wanted.index);
    setSelected({ index: wanted.index, openedAt: wanted.index });
  }, [wanted]);
  const isWanted = wanted !== undefined && rows.isLoaded;
  useEffect(() => {
    if (isWanted && wanted) list.current?.show(wanted.index);
  }, [isWanted, wanted]);

  const isPlaced = useRef(false);
  useEffect(() => {
    if (!rows.isLoaded || isPlaced.current) return;
    isPlaced.current = true;
    if (!wanted) list.current?.showFirst(place.firstRow);
  }, [rows.isLoaded]);
  const placeWith = (change: Partial<typeof place>) => ({ results: { ...pageState.value.results, ...change } });
  useEffect(() => pageState.update(placeWith({ active, open: selected?.index ?? null })), [active, selected?.index]);

  const close = () => {
    setSelected(null);
    setOpening(null);
    list.current?.focus();
  };
  // A row that has not been read yet is opened when it is.
  const [opening, setOpening] = useState<number | null>(null);
  const open = (position: number) => {
    const row = rows.row(position);
    setOpening(row ? null : position);
    if (row) setSelected({ index: row.index, openedAt: position });
  };
  const isRead = opening !== null && rows.isLoaded && rows.row(opening) !== undefined;
  useEffect(() => {
    if (isRead && opening !== null) open(opening);
  }, [isRead, opening]);
  const found = selected === null ? undefined : rows.find(selected.index);
  const hasMoved = found !== undefined && selected !== null && found.position !== selected.openedAt;
  useEffect(() => {
    if (hasMoved) setSelected((selected) => selected && { ...selected, openedAt: null });
  }, [hasMoved]);

  return (
    <div
      class="results"
      onKeyDown={(event) => {
        if (event.key !== "Escape" || selected === null) return;
        event.preventDefault();
        close();
      }}
    >
      <Toolbar key={wanted?.index} view={view} onChange={show} />
      <ScanBar />
      {rows.problem !== undefined && <Problem text={rows.problem} onRetry={() => rows.retry()} />}
      <div class={selected === null ? "split" : "split is-open"}>
        {rows.isLoaded && rows.count === 0 ? (
          <p class="empty">{emptyText(view, run)}</p>
        ) : (
          <Grid
            rows={rows}
            active={Math.min(active, Math.max(0, rows.count - 1))}
            selected={found?.position ?? null}
            inSight={hasMoved ? null : (selected?.openedAt ?? null)}
            onActive={setActive}
            onFirst={(firstRow) => isPlaced.current && pageState.updateSoon(placeWith({ firstRow }))}
            onOpen={open}
            onSort={show}
            handle={list}
          />
        )}
        {selected !== null && <Detail key={selected.index} index={selected.index} row={found?.row} onClose={close} />}
      </div>
    </div>
  );
}

function emptyText(view: ResultView, run: RunHeader): string {
  if (view.filter !== "") return t("No result contains “{0}”.", view.filter);
  if (view.failuresOnly) return t("No input has failed.");
  return isLive(run.state) ? t("There are no results yet.") : t("There are no results.");
}

function Toolbar({ view, onChange }: { view: ResultView; onChange: (change: Partial<ResultView>) => void }) {
  const [filter, setFilter] = useState(view.filter);
  useEffect(() => {
    if (filter === view.filter) return undefined;
    const timer = setTimeout(() => onChange({ filter }), filterAfterMs);
    return () => clearTimeout(timer);
  }, [filter]);
  const save = (format: "jsonl" | "csv" | "editor") => post({ type: "export", format, view });
  return (
    <div class="toolbar">
      <TextField
        label={t("Filter results")}
        placeholder={t("Filter results")}
        value={filter}
        onInput={(text) => setFilter(text.slice(0, 1_000))}
      />
      <Checkbox
        label={t("Failures only")}
        checked={view.failuresOnly}
        onChange={(failuresOnly) => onChange({ failuresOnly })}
      />
      <span class="space" />
      <div class="button-group" role="group" aria-label={t("Export")}>
        <Button label={t("JSON Lines")} icon="save" title={t("Save as JSON Lines")} onPress={() => save("jsonl")} />
        <Button label={t("CSV")} icon="save" title={t("Save as CSV")} onPress={() => save("csv")} />
        <Button label={t("Open in editor")} icon="go-to-file" onPress={() => save("editor")} />
      </div>
    </div>
  );
}

function Problem({ text, onRetry }: { text: string; onRetry: () => void }) {
  return (
    <Strip tone="error" role="alert" text={t("The results cannot be read: {0}", shown(text, maxProblemChars))}>
      <span class="space" />
      <Button label={t("Try again")} icon="refresh" onPress={onRetry} />
    </Strip>
  );
}

/** How far reading through all results for the view has come. */
function ScanBar() {
  const [fraction, setFraction] = useState<number | null>(null);
  useEffect(() => listen((message) => message.type === "scan" && setFraction(message.fraction)), []);
  if (fraction === null) return null;
  const share = Math.min(1, Math.max(0, fraction));
  return (
    <div
      class="progress scan"
      role="progressbar"
      aria-label={t("Reading all results")}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(share * 100)}
      aria-valuetext={formatPercent(share)}
    >
      <div class="bar" style={{ width: `${share * 100}%` }} />
    </div>
  );
}
