import { useEffect, useRef, useState } from "preact/hooks";

/** Says `text` to screen readers when `on` changes: not what is there at first. */
export function Announcer({ on, text }: { on: string; text: string }) {
  const [said, setSaid] = useState("");
  const before = useRef(on);
  useEffect(() => {
    if (before.current === on) return;
    before.current = on;
    setSaid(text);
  }, [on]);
  return (
    <div class="visually-hidden" aria-live="polite">
      {said}
    </div>
  );
}
