import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useImperativeHandle, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import { barOfTop, clampTop, contentPx, maxScrollPx, maxTopPx, scrollPx, topOfBar, topToShow } from "./scroll.ts";

/**
 * A grid of rows of one height, of which only those in sight are elements, so that a million do not matter. One row
 * can be reached with Tab; the arrow keys, Page Up and Down, Home and End go on from there.
 */
export interface VirtualListProps {
  label: string;
  count: number;
  rowPx: number;
  /** Cells of the head row, which stays in sight. */
  header: ComponentChildren;
  headerPx: number;
  columns: number;
  /** Cells of a row. */
  row: (index: number) => ComponentChildren;
  rowClass?: (index: number) => string;
  /** The row that Tab reaches. */
  active: number;
  onActive: (index: number) => void;
  /** Click, Enter or Space. */
  onOpen?: (index: number) => void;
  selected?: number | null;
  /** A row that is brought into sight, and again when the height is another. */
  inSight?: number | null;
  /** The rows in sight, whenever they are others: `last` is not among them. */
  onWindow?: (first: number, last: number) => void;
  /** Keeps the last row in sight as rows are added. */
  followEnd?: boolean;
  /** The user scrolled to the last row, or away from it. */
  onFollow?: (atEnd: boolean) => void;
  /** How many rows have gone from the beginning since the list was made: what is in sight stays. */
  gone?: number;
  handle: RefObject<ListHandle | null>;
  class?: string;
  style?: Record<string, string>;
}

export interface ListHandle {
  show(index: number): void;
  /** Scrolls until the row is the first in sight; false when there are too few below it for that. */
  showFirst(index: number): boolean;
  focus(): void;
}

const overscan = 8;

export function VirtualList(props: VirtualListProps) {
  const { count, rowPx, headerPx, active, gone = 0, followEnd = false } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [heightPx, setHeightPx] = useState(0);
  const [topPx, setTopPx] = useState(0);
  const [, redraw] = useReducer((version: number) => version + 1, 0);
  const extent = { count, rowPx, viewPx: Math.max(0, heightPx - headerPx) };
  // Rows that went from the beginning move what is in sight at once: a row with the focus must not be left out even once.
  const goneBefore = useRef(gone);
  const goneNowPx = Math.max(0, gone - goneBefore.current) * rowPx;
  const isPushedOn = goneNowPx > 0 && followEnd;
  // Handlers are older than the newest drawing.
  const now = useRef({ extent, topPx, props });
  now.current = { extent, topPx: isPushedOn ? maxTopPx(extent) : clampTop(topPx - goneNowPx, extent), props };
  // Moving the bar tells of itself like a user's scrolling; this is how the two are told apart.
  const barSetTo = useRef(-1);
  const takeFocus = useRef(false);

  const moveTo = (wanted: number, byUser: boolean) => {
    const { extent, props } = now.current;
    const top = clampTop(wanted, extent);
    now.current.topPx = top;
    setTopPx(top);
    const element = scroller.current;
    if (element) {
      const bar = barOfTop(top, extent);
      if (Math.abs(element.scrollTop - bar) >= 1) {
        element.scrollTop = bar;
        barSetTo.current = element.scrollTop;
      }
    }
    if (byUser) props.onFollow?.(maxTopPx(extent) - top < rowPx);
  };

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const measure = () => setHeightPx(element.clientHeight);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    // A shortened bar would skip rows with each turn of the wheel.
    const onWheel = (event: WheelEvent) => {
      const { extent, topPx } = now.current;
      if (contentPx(extent) <= maxScrollPx || event.ctrlKey || event.shiftKey || event.deltaY === 0) return;
      event.preventDefault();
      const unitPx = event.deltaMode === 1 ? extent.rowPx : event.deltaMode === 2 ? extent.viewPx : 1;
      moveTo(topPx + event.deltaY * unitPx, true);
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => {
      observer.disconnect();
      element.removeEventListener("wheel", onWheel);
    };
  }, []);

  const onScroll = () => {
    const element = scroller.current;
    if (!element || Math.abs(element.scrollTop - barSetTo.current) < 1) return;
    barSetTo.current = -1;
    const { extent, props } = now.current;
    const top = topOfBar(element.scrollTop, extent);
    now.current.topPx = top;
    setTopPx(top);
    props.onFollow?.(maxTopPx(extent) - top < rowPx);
  };

  const rowPxBefore = useRef(rowPx);
  useLayoutEffect(() => {
    const firstRow = now.current.topPx / rowPxBefore.current;
    rowPxBefore.current = rowPx;
    moveTo(firstRow * rowPx, false);
  }, [rowPx]);

  useLayoutEffect(() => {
    goneBefore.current = gone;
    if (followEnd) moveTo(maxTopPx(extent), false);
    else if (now.current.topPx !== topPx) moveTo(now.current.topPx, false);
  }, [count, gone, followEnd, heightPx]);

  // A detail that opens beside the list takes some of its height.
  useLayoutEffect(() => {
    const { props, topPx, extent } = now.current;
    const { inSight } = props;
    if (typeof inSight === "number" && inSight < props.count) moveTo(topToShow(inSight, topPx, extent), false);
  }, [heightPx, props.inSight]);

  const top = now.current.topPx;
  const first = Math.max(0, Math.floor(top / rowPx));
  const last = Math.min(count, Math.ceil((top + extent.viewPx) / rowPx));
  useEffect(() => {
    if (heightPx > 0) props.onWindow?.(first, last);
  }, [first, last, heightPx > 0]);

  const from = Math.max(0, first - overscan);
  const to = Math.min(count, last + overscan);
  const isActiveDrawn = active >= from && active < to;

  // Rows that go out of sight must not take the focus with them.
  const hadFocus = scroller.current?.contains(document.activeElement) ?? false;
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const row = element.querySelector<HTMLElement>(`[data-row="${active}"]`);
    if (takeFocus.current && row) {
      takeFocus.current = false;
      row.focus({ preventScroll: true });
    } else if (hadFocus && !element.contains(document.activeElement)) element.focus({ preventScroll: true });
  });

  const activate = (index: number) => {
    const { props, topPx, extent } = now.current;
    const wanted = Math.min(Math.max(0, index), props.count - 1);
    if (wanted < 0) return;
    takeFocus.current = true;
    props.onActive(wanted);
    moveTo(topToShow(wanted, topPx, extent), true);
  };

  const handle: ListHandle = {
    show: (index) => {
      const { topPx, extent } = now.current;
      moveTo(topToShow(index, topPx, extent), false);
    },
    showFirst: (index) => {
      moveTo(index * now.current.extent.rowPx, false);
      return now.current.topPx === index * now.current.extent.rowPx;
    },
    focus: () => {
      takeFocus.current = true;
      // Drawing is what gives a row the focus.
      redraw(undefined);
    },
  };
  useImperativeHandle(props.handle, () => handle, []);

  const onKeyDown = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (target !== scroller.current && target.dataset["row"] === undefined) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(extent.viewPx / rowPx) - 1);
    const moves: Record<string, number> = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: count - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) activate(to);
    else if ((event.key === "Enter" || event.key === " ") && props.onOpen && count > 0) props.onOpen(active);
    else return;
    event.preventDefault();
  };

  const rows: ComponentChildren[] = [];
  for (let index = from; index < to; index++) {
    const isSelected = props.selected === index;
    rows.push(
      <div
        key={index + gone}
        class={`row ${isSelected ? "selected " : ""}${props.rowClass?.(index) ?? ""}`}
        role="row"
        data-row={index}
        tabIndex={index === active ? 0 : -1}
        aria-rowindex={index + 2}
        aria-selected={props.onOpen ? isSelected : undefined}
        style={{ height: `${rowPx}px` }}
        onFocus={() => {
          if (index !== active) props.onActive(index);
        }}
        onClick={() => {
          props.onActive(index);
          props.onOpen?.(index);
        }}
      >
        {props.row(index)}
      </div>,
    );
  }
  const layerPx = barOfTop(top, extent) + from * rowPx - top;
  return (
    <div
      ref={scroller}
      class={`list ${props.class ?? ""}`}
      role="grid"
      aria-label={props.label}
      aria-rowcount={count + 1}
      aria-colcount={props.columns}
      tabIndex={isActiveDrawn ? -1 : 0}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
      style={props.style}
    >
      <div class="list-head" role="rowgroup" style={{ height: `${headerPx}px` }}>
        <div class="row" role="row" aria-rowindex={1}>
          {props.header}
        </div>
      </div>
      <div class="list-body" role="rowgroup" style={{ height: `${scrollPx(extent)}px` }}>
        <div class="list-layer" role="presentation" style={{ transform: `translateY(${layerPx}px)` }}>
          {rows}
        </div>
      </div>
    </div>
  );
}
