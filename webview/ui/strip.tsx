import type { ComponentChildren } from "preact";
import { Icon } from "./icon.tsx";

export interface StripProps {
  tone: "warning" | "error";
  text: string;
  /** What stands below, in a line of its own. */
  hint?: string | null;
  /** What the icon says where nothing else says what this is. */
  label?: string;
  role?: "status" | "alert" | "note";
  class?: string;
  /** What can be done about it. */
  children?: ComponentChildren;
}

/** What is wrong, or what should be known, in a line of colour. */
export function Strip({ tone, text, hint = null, label, role, class: name, children }: StripProps) {
  return (
    <div class={["strip", tone, name].filter(Boolean).join(" ")} {...(role ? { role } : {})}>
      <Icon name={tone} {...(label === undefined ? {} : { label })} />
      <div>
        <p class="message">{text}</p>
        {hint !== null && <p class="hint">{hint}</p>}
      </div>
      {children}
    </div>
  );
}
