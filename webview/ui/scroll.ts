/**
 * Where the rows of a long list lie. Browsers cannot lay out more than some ten million pixels, so a longer list is
 * given a shorter scroll bar, and its place is kept apart from the bar's.
 */
export const maxScrollPx = 10_000_000;

export interface Extent {
  count: number;
  rowPx: number;
  /** Height in which rows are seen. */
  viewPx: number;
}

/** Height of all rows. */
export function contentPx({ count, rowPx }: Extent): number {
  return count * rowPx;
}

/** Height that the scroll bar knows of. */
export function scrollPx(extent: Extent): number {
  return Math.min(contentPx(extent), maxScrollPx);
}

export function maxTopPx(extent: Extent): number {
  return Math.max(0, contentPx(extent) - extent.viewPx);
}

/** The place in the content that a place of the scroll bar stands for. */
export function topOfBar(barPx: number, extent: Extent): number {
  const barRange = scrollPx(extent) - extent.viewPx;
  if (barRange <= 0) return 0;
  const isShortened = contentPx(extent) > maxScrollPx;
  return clampTop(isShortened ? (barPx / barRange) * maxTopPx(extent) : barPx, extent);
}

/** The place of the scroll bar for a place in the content. */
export function barOfTop(topPx: number, extent: Extent): number {
  const range = maxTopPx(extent);
  return range === 0 ? 0 : (topPx / range) * Math.max(0, scrollPx(extent) - extent.viewPx);
}

export function clampTop(topPx: number, extent: Extent): number {
  return Math.min(Math.max(0, topPx), maxTopPx(extent));
}

/** The place nearest to `topPx` from where a row is wholly seen. */
export function topToShow(row: number, topPx: number, extent: Extent): number {
  const { rowPx, viewPx } = extent;
  if (row * rowPx < topPx) return clampTop(row * rowPx, extent);
  if ((row + 1) * rowPx > topPx + viewPx) return clampTop((row + 1) * rowPx - viewPx, extent);
  return topPx;
}
