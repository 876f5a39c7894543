import { useEffect, useState } from "preact/hooks";
import { listen, post } from "./host.ts";
import type { ToPage } from "./messages/toPage.ts";
import { setTranslations } from "./text.ts";
import { setLocale } from "./ui/numbers.ts";

/** Says that the page is there, hands on what it is sent, and returns whether it knows language and texts by now. */
export function useStart(take: (message: ToPage) => void): boolean {
  const [isStarted, setStarted] = useState(false);
  useEffect(() => {
    const stop = listen((message) => {
      if (message.type === "start") {
        setLocale(message.locale);
        setTranslations(message.strings);
        setStarted(true);
      } else take(message);
    });
    post({ type: "ready" });
    return stop;
  }, []);
  return isStarted;
}
