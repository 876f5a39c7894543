import { type RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { pageState } from "./pageState.ts";

/** For the element of a tab that scrolls as a whole: it is where it was when the tab, or the page, comes back. */
export function useKeptScroll(tab: "failures" | "activity"): {
  ref: RefObject<HTMLDivElement | null>;
  onScroll: () => void;
} {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (ref.current) ref.current.scrollTop = pageState.value.scrolledPx[tab];
  }, []);
  const onScroll = () => {
    const { scrolledPx } = pageState.value;
    if (ref.current) pageState.updateSoon({ scrolledPx: { ...scrolledPx, [tab]: ref.current.scrollTop } });
  };
  return { ref, onScroll };
}
