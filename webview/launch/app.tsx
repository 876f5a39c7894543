import { useEffect, useState } from "preact/hooks";
import { listen, post } from "../host.ts";
import type { LaunchForm } from "../messages.ts";
import { setTranslations } from "../text.ts";
import { setLocale } from "../ui/numbers.ts";
import { Form } from "./form.tsx";

/** The page that asks what to run a function with. */
export function App() {
  const [isStarted, setStarted] = useState(false);
  const [form, setForm] = useState<{ form: LaunchForm; number: number }>();
  useEffect(() => {
    const stop = listen((message) => {
      if (message.type === "start") {
        setLocale(message.locale);
        setTranslations(message.strings);
        setStarted(true);
      } else if (message.type === "form") {
        const { form } = message;
        setForm((before) => ({ form, number: (before?.number ?? 0) + 1 }));
      }
    });
    post({ type: "ready" });
    return stop;
  }, []);
  if (!isStarted || !form) return null;
  return <Form key={form.number} form={form.form} />;
}
