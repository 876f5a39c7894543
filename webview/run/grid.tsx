import type { RefObject } from "preact";
import type { ResultView } from "../messages/run.ts";
import { t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { formatCount } from "../ui/numbers.ts";
import { Icon } from "../ui/icon.tsx";
import { useRowPx } from "../ui/lineHeight.ts";
import { VirtualList, type ListHandle } from "../ui/virtualList.tsx";
import type { RowSource } from "./rowSource.ts";
import { rowIcon } from "./states.ts";

/** The table of a map's results. Its heads sort: upwards, downwards, and back to the order of the inputs. */

export interface GridProps {
  rows: RowSource;
  active: number;
  /** Positions of the row whose value is shown, and of the one that must not be covered by it. */
  selected: number | null;
  inSight: number | null;
  onActive: (position: number) => void;
  /** The row at the top is another. */
  onFirst: (position: number) => void;
  onOpen: (position: number) => void;
  onSort: (order: Pick<ResultView, "sort" | "descending">) => void;
  handle: RefObject<ListHandle | null>;
}

const leastRowPx = 24;
const headerPx = 28;
const indexPx = 104;
/** At least. */
const columnPx = 96;
const attemptsPx = 88;
const maxCellChars = 500;
/** More than that nobody reads, and each is an element in every row. */
const maxColumns = 50;

export function Grid({ rows, active, selected, inSight, onActive, onFirst, onOpen, onSort, handle }: GridProps) {
  const { view } = rows;
  const rowPx = useRowPx("result-grid", leastRowPx);
  const columns = rows.columns.slice(0, maxColumns);
  const heads =
    columns.length > 0 ? columns.map((name) => ({ sort: `.${name}`, label: shown(name, 100) })) : [valueHead()];
  const all = [{ sort: "#", label: "#" }, ...heads, { sort: "attempts", label: t("Attempts") }];

  const header = all.map(({ sort, label }, column) => {
    const isSorted = view.sort === sort;
    const direction = isSorted ? (view.descending ? "descending" : "ascending") : "none";
    return (
      <div key={sort} class="cell" role="columnheader" aria-colindex={column + 1} aria-sort={direction}>
        <button type="button" class="sort" onClick={() => onSort(nextOrder(view, sort))}>
          <span class="sort-label">{label}</span>
          {isSorted && <Icon name={view.descending ? "arrow-down" : "arrow-up"} />}
        </button>
      </div>
    );
  });

  const cells = (position: number) => {
    const row = rows.row(position);
    if (!row) {
      return (
        <div class="cell faint" role="gridcell" aria-colindex={1} aria-colspan={all.length}>
          …
        </div>
      );
    }
    const { icon, tone, text } = rowIcon(row.state);
    const spans = row.cells.length !== heads.length;
    const texts = spans ? [row.cells[0] ?? ""] : row.cells;
    return (
      <>
        <div class="cell index" role="gridcell" aria-colindex={1}>
          <Icon name={icon} label={text} {...(tone ? { tone } : {})} />
          {formatCount(row.index)}
        </div>
        {texts.map((cell, column) => (
          <div
            key={column}
            class={row.state === "error" ? "cell value failed" : "cell value"}
            role="gridcell"
            aria-colindex={column + 2}
            aria-colspan={spans ? heads.length : undefined}
            style={{ gridColumn: spans ? `2 / span ${heads.length}` : "" }}
          >
            {shown(cell, maxCellChars)}
          </div>
        ))}
        <div class="cell attempts" role="gridcell" aria-colindex={heads.length + 2}>
          {row.state === "pending" ? "" : formatCount(row.attempts)}
        </div>
      </>
    );
  };

  return (
    <VirtualList
      label={t("Results")}
      class="result-grid"
      style={{
        "--columns": `${indexPx}px repeat(${heads.length}, minmax(${columnPx}px, 1fr)) ${attemptsPx}px`,
        "--width": `${indexPx + heads.length * columnPx + attemptsPx}px`,
      }}
      count={rows.count}
      rowPx={rowPx}
      headerPx={headerPx}
      columns={all.length}
      header={header}
      row={cells}
      active={active}
      onActive={onActive}
      onOpen={onOpen}
      selected={selected}
      inSight={inSight}
      onWindow={(first, last) => {
        rows.look(first, last);
        onFirst(first);
      }}
      handle={handle}
    />
  );
}

function valueHead() {
  return { sort: "value", label: t("Value") };
}

function nextOrder(view: ResultView, sort: string): Pick<ResultView, "sort" | "descending"> {
  if (view.sort !== sort) return { sort, descending: false };
  if (!view.descending) return { sort, descending: true };
  return { sort: "#", descending: false };
}
