import { useEffect, useState } from "preact/hooks";
import { onThemeChange } from "./theme.ts";

/** Height of rows that hold one line in the font of a class: at least `leastPx`, and more where the font is large. */
export function useRowPx(className: string, leastPx: number): number {
  const [rowPx, setRowPx] = useState(() => measure(className, leastPx));
  useEffect(() => onThemeChange(() => setRowPx(measure(className, leastPx))), [className, leastPx]);
  return rowPx;
}

function measure(className: string, leastPx: number): number {
  const probe = document.createElement("div");
  probe.className = `${className} line-probe`;
  probe.textContent = "X";
  document.body.append(probe);
  const heightPx = probe.getBoundingClientRect().height;
  probe.remove();
  return Math.max(leastPx, Math.ceil(heightPx));
}
