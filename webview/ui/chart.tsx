import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { isHighContrast, onThemeChange, themeColour } from "./theme.ts";

/** Lines over time in the editor's colours. What they show must also stand in words, given as `label`. */
interface Series {
  label: string;
  values: number[];
  /** Name of a theme colour. */
  colour: string;
  /** Dashed lines can be told apart without colours. */
  dashed?: boolean;
}

export interface ChartProps {
  label: string;
  /** Seconds since the start. */
  seconds: number[];
  series: Series[];
  formatX: (seconds: number) => string;
  formatY: (value: number) => string;
  /** Upper end of the scale. Default: as the values need it. */
  maxY?: number;
  /** Default 200. */
  heightPx?: number;
}

const usualHeightPx = 200;
/** Room for the numbers at the left. */
const chartLeftPx = 64;
/** And for one at the bottom. */
const tickPx = 70;
/** Seconds between ticks. */
const tickSteps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30].concat(
  [1, 2, 3, 5, 10, 15, 30].map((minutes) => minutes * 60),
  [1, 2, 6, 12, 24, 48, 168].map((hours) => hours * 3_600),
);

export function Chart({ label, seconds, series, formatX, formatY, maxY, heightPx = usualHeightPx }: ChartProps) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const data: uPlot.AlignedData = [seconds, ...series.map(({ values }) => values)];
  const newest = useRef(data);
  newest.current = data;

  useEffect(() => {
    const host = element.current;
    if (!host) return undefined;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(
        options({ width: host.clientWidth, heightPx, series, formatX, formatY, maxY }),
        newest.current,
        host,
      );
    };
    draw();
    const sizes = new ResizeObserver(() => {
      plot.current?.setSize({ width: Math.max(100, host.clientWidth), height: heightPx });
    });
    sizes.observe(host);
    const stopWatching = onThemeChange(draw);
    return () => {
      stopWatching();
      sizes.disconnect();
      plot.current?.destroy();
    };
  }, [series.length, maxY, heightPx]);

  useEffect(() => plot.current?.setData(data), [seconds, series]);

  return <div ref={element} class="chart" role="img" aria-label={label} />;
}

function options({
  width,
  heightPx,
  series,
  formatX,
  formatY,
  maxY,
}: Pick<ChartProps, "series" | "formatX" | "formatY"> & {
  width: number;
  heightPx: number;
  maxY: number | undefined;
}): uPlot.Options {
  const text = themeColour("foreground", "#888888");
  // Borders of high contrast would be louder than what is drawn over them.
  const dash = isHighContrast() ? { dash: [1, 4] } : {};
  const grid = { stroke: themeColour("widget-border", "#88888844"), width: 1, ...dash };
  const { fontFamily } = getComputedStyle(document.body);
  const axis = { stroke: text, font: `11px ${fontFamily}`, grid, ticks: { ...grid, size: 4 } };
  return {
    width: Math.max(100, width),
    height: heightPx,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false }, y: { range: (_, __, max) => [0, maxY ?? Math.max(1, max * 1.1)] } },
    axes: [
      { ...axis, size: 28, space: tickPx, incrs: tickSteps, values: (_, ticks) => ticks.map(formatX) },
      { ...axis, size: chartLeftPx, values: (_, ticks) => ticks.map(formatY) },
    ],
    series: [
      {},
      ...series.map(({ label, colour, dashed }) => ({
        label,
        stroke: themeColour(colour, text),
        width: 1.5,
        points: { show: false },
        ...(dashed ? { dash: [4, 4] } : {}),
      })),
    ],
  };
}
