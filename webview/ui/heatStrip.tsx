import { useEffect, useRef } from "preact/hooks";
import { onThemeChange, themeColour } from "./theme.ts";

const heightPx = 14;

/** Shares from 0 to 1 over time as a strip: the stronger the colour, the larger the share. */
export function HeatStrip({ label, shares }: { label: string; shares: number[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const draw = () => paint(element, shares);
    draw();
    const sizes = new ResizeObserver(draw);
    sizes.observe(element);
    const stopWatching = onThemeChange(draw);
    return () => {
      stopWatching();
      sizes.disconnect();
    };
  }, [shares]);
  return <canvas ref={canvas} class="heat" role="img" aria-label={label} />;
}

function paint(canvas: HTMLCanvasElement, shares: number[]): void {
  const scale = window.devicePixelRatio;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * scale));
  canvas.height = Math.round(heightPx * scale);
  const context = canvas.getContext("2d");
  if (!context) return;
  context.fillStyle = themeColour("charts-blue", "#3794ff");
  const step = canvas.width / Math.max(1, shares.length);
  for (const [index, share] of shares.entries()) {
    const left = Math.floor(index * step);
    context.globalAlpha = Math.min(1, Math.max(0, share));
    context.fillRect(left, 0, Math.floor((index + 1) * step) - left, canvas.height);
  }
}
