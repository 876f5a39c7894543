import { useState } from "preact/hooks";
import type { LaunchForm } from "../messages/launch.ts";
import { useStart } from "../start.ts";
import { Form } from "./form.tsx";

/** The page that asks what to run a function with. */
export function App() {
  const [form, setForm] = useState<{ form: LaunchForm; number: number }>();
  const isStarted = useStart((message) => {
    if (message.type !== "form") return;
    const { form } = message;
    setForm((before) => ({ form, number: (before?.number ?? 0) + 1 }));
  });
  if (!isStarted || !form) return null;
  return <Form key={form.number} form={form.form} />;
}
