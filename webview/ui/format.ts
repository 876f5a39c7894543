import { withoutReordering } from "../reordering.ts";
import { t } from "../text.ts";
import { formatNumber } from "./numbers.ts";

/** Rates, durations, sizes and times as people read them. */

/** `1,234 inputs/s`; below ten with one digit behind the point. */
export function formatRate(perSecond: number): string {
  const digits = perSecond < 10 ? 1 : 0;
  return t("{0} inputs/s", formatNumber(perSecond, { maximumFractionDigits: digits }));
}

export function formatPercent(share: number): string {
  return formatNumber(share, { style: "percent", maximumFractionDigits: 0 });
}

/** `$0.0042`, `$12.30`. */
export function formatDollars(dollars: number): string {
  const digits = dollars < 0.1 ? 4 : 2;
  return formatNumber(dollars, {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  });
}

/** `4 s`, `1 min 4 s`, `2 h 5 min`; below a second in milliseconds. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return t("{0} ms", Math.max(0, Math.round(ms)));
  const seconds = Math.floor(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours > 0) return t("{0} h {1} min", formatNumber(hours), minutes % 60);
  return minutes > 0 ? t("{0} min {1} s", minutes, seconds % 60) : t("{0} s", seconds);
}

/** A time on an axis: `30 s`, `5 min`, `1 min 30 s`, `2 h`. */
export function formatTick(seconds: number): string {
  if (seconds === 0) return t("{0} s", 0);
  if (seconds % 3_600 === 0) return t("{0} h", formatNumber(seconds / 3_600));
  return seconds % 60 === 0 && seconds < 3_600 ? t("{0} min", seconds / 60) : formatDuration(seconds * 1_000);
}

export function formatBytes(bytes: number): string {
  const format = (value: number) => formatNumber(value, { maximumFractionDigits: 1 });
  if (bytes < 1_024) return t("{0} B", format(bytes));
  return bytes < 1_048_576 ? t("{0} KiB", format(bytes / 1_024)) : t("{0} MiB", format(bytes / 1_048_576));
}

/** Local time of day, `HH:MM:SS.mmm`. */
export function formatClock(timeMs: number): string {
  const date = new Date(timeMs);
  if (Number.isNaN(date.getTime())) return "";
  const two = (value: number) => String(value).padStart(2, "0");
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${milliseconds}`;
}

// eslint-disable-next-line no-control-regex -- they are what is removed
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Text from afar, short enough for the page, without control characters but tab and line feed, and in its own order. */
export function shown(text: string, limit: number): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return withoutReordering(cut.replace(controls, ""));
}
