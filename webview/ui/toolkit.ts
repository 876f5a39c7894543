import {
  provideVSCodeDesignSystem,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeOption,
  vsCodePanels,
  vsCodePanelTab,
  vsCodePanelView,
  vsCodeProgressRing,
  vsCodeRadio,
  vsCodeRadioGroup,
  vsCodeTextArea,
  vsCodeTextField,
} from "@vscode/webview-ui-toolkit";
import { h, type ComponentChildren, type RefObject, type VNode } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * The controls of the pages. This is the only file that knows which library draws them: the library is no longer
 * developed, and another one has to fit behind the names and properties here, nowhere else.
 */
provideVSCodeDesignSystem()
  .withPrefix("fc")
  .register(
    vsCodeButton(),
    vsCodeCheckbox(),
    vsCodeDropdown(),
    vsCodeOption(),
    vsCodePanels(),
    vsCodePanelTab(),
    vsCodePanelView(),
    vsCodeProgressRing(),
    vsCodeRadio(),
    vsCodeRadioGroup(),
    vsCodeTextArea(),
    vsCodeTextField(),
  );

/** The element of a control, which can be focused. */
export type ControlRef = RefObject<HTMLElement | null>;

/** An element of the library; what its properties are is known to the functions below only. */
const element = h as (tag: string, properties: Record<string, unknown>, ...children: ComponentChildren[]) => VNode;

interface ValueElement extends HTMLElement {
  value: string;
}

/** Puts the focus on the first control within an element. */
export function focusControl(within: Element | null): void {
  within?.querySelector<HTMLElement>("fc-text-field, fc-text-area, fc-dropdown, fc-checkbox")?.focus();
}

/** The controls name themselves after the text they had when they were put in; this name stays right. */
function useName(ref: ControlRef, name: string): void {
  useLayoutEffect(() => ref.current?.setAttribute("aria-label", name), [name]);
}

// ---- Buttons -------------------------------------------------------------------------------------------------------

export interface ButtonProps {
  label: string;
  onPress: () => void;
  look?: "primary" | "secondary" | "icon";
  /** Name of a codicon; with the look `icon` it is all that is seen. */
  icon?: string;
  disabled?: boolean;
  title?: string;
}

export function Button({ label, onPress, look = "secondary", icon, disabled = false, title }: ButtonProps): VNode {
  const iconOnly = look === "icon";
  const glyph = icon && element("span", { class: `codicon codicon-${icon}`, slot: iconOnly ? undefined : "start" });
  return element(
    "fc-button",
    {
      appearance: look,
      disabled,
      title: title ?? (iconOnly ? label : undefined),
      "aria-label": label,
      onClick: () => {
        if (!disabled) onPress();
      },
    },
    glyph,
    iconOnly ? undefined : label,
  );
}

// ---- Text ----------------------------------------------------------------------------------------------------------

export interface TextProps {
  /** The name; it is not shown. */
  label: string;
  value: string;
  onInput: (text: string) => void;
  /** The text is as it is meant: the field was left, or Enter was pressed in it. */
  onLeave?: () => void;
  placeholder?: string;
  invalid?: boolean;
  /** Ids of elements that say more, such as what is wrong. */
  describedBy?: string[];
  controlRef?: ControlRef;
  monospace?: boolean;
}

function useTextControl({ label, value, invalid = false, describedBy = [], controlRef }: TextProps): ControlRef {
  const own = useRef<HTMLElement>(null);
  const ref = controlRef ?? own;
  useName(ref, label);
  useLayoutEffect(() => {
    const host = ref.current as ValueElement | null;
    if (host && host.value !== value) host.value = value;
  }, [value]);
  const describers = describedBy.join(" ");
  useLayoutEffect(() => {
    const inner = ref.current?.shadowRoot?.querySelector(".control");
    inner?.setAttribute("aria-invalid", String(invalid));
    // By element: an id does not reach out of a shadow tree.
    const elements = describedBy.flatMap((id) => document.getElementById(id) ?? []);
    if (inner instanceof HTMLElement) inner.ariaDescribedByElements = elements;
  }, [invalid, describers]);
  return ref;
}

function textAttributes(props: TextProps, ref: ControlRef) {
  const { onInput, onLeave, placeholder, invalid = false, monospace = false } = props;
  return {
    ref,
    placeholder,
    class: [invalid && "invalid", monospace && "monospace"].filter(Boolean).join(" "),
    spellcheck: false,
    onInput: (event: Event) => onInput((event.currentTarget as ValueElement).value),
    onFocusOut: onLeave,
    onKeyDown: onLeave && ((event: KeyboardEvent) => event.key === "Enter" && onLeave()),
  };
}

export function TextField(props: TextProps): VNode {
  return element("fc-text-field", textAttributes(props, useTextControl(props)));
}

/** Grows with what is in it. */
export function TextArea(props: TextProps): VNode {
  return element("fc-text-area", { ...textAttributes(props, useTextControl(props)), rows: 2 });
}

// ---- Choices -------------------------------------------------------------------------------------------------------

export interface CheckboxProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  /** Another name than the text beside the box. */
  name?: string;
  controlRef?: ControlRef;
}

export function Checkbox({ label, checked, onChange, name = label, controlRef }: CheckboxProps): VNode {
  const own = useRef<HTMLElement>(null);
  const ref = controlRef ?? own;
  useName(ref, name);
  const onBoxChange = (event: Event) => {
    const now = (event.currentTarget as HTMLElement & { checked: boolean }).checked;
    // The control also tells of changes that came from here.
    if (now !== checked) onChange(now);
  };
  return element("fc-checkbox", { ref, checked, onChange: onBoxChange }, label);
}

interface Choice {
  value: string;
  label: string;
}

export interface DropdownProps {
  label: string;
  choices: readonly Choice[];
  value: string;
  onChange: (value: string) => void;
  invalid?: boolean;
  describedBy?: string[];
  controlRef?: ControlRef;
}

export function Dropdown({ label, choices, value, onChange, describedBy = [], controlRef, ...props }: DropdownProps) {
  const own = useRef<HTMLElement>(null);
  const ref = controlRef ?? own;
  useName(ref, label);
  const setValue = () => {
    const host = ref.current as ValueElement | null;
    if (host && host.value !== value) host.value = value;
  };
  useLayoutEffect(() => {
    setValue();
    // The control learns of its options a moment after they are there.
    const frame = requestAnimationFrame(setValue);
    return () => cancelAnimationFrame(frame);
  });
  const options = choices.map((choice) =>
    element("fc-option", { key: choice.value, value: choice.value, selected: choice.value === value }, choice.label),
  );
  const onChosen = (event: Event) => {
    const chosen = (event.currentTarget as ValueElement).value;
    if (chosen !== value) onChange(chosen);
  };
  return element(
    "fc-dropdown",
    {
      ref,
      class: props.invalid ? "invalid" : "",
      "aria-invalid": props.invalid ? "true" : undefined,
      "aria-describedby": describedBy.join(" ") || undefined,
      onChange: onChosen,
    },
    options,
  );
}

export interface RadioGroupProps {
  label: string;
  choices: readonly Choice[];
  value: string;
  onChange: (value: string) => void;
}

export function RadioGroup({ label, choices, value, onChange }: RadioGroupProps): VNode {
  const ref = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    const host = ref.current as ValueElement | null;
    if (host && host.value !== value) host.value = value;
  }, [value]);
  const onChosen = (event: Event) => {
    const chosen = (event.target as ValueElement).value;
    if (chosen && chosen !== value && (event.target as HTMLElement & { checked?: boolean }).checked !== false) {
      onChange(chosen);
    }
  };
  return element(
    "fc-radio-group",
    { ref, orientation: "vertical", value, onChange: onChosen },
    element("label", { slot: "label", class: "label" }, label),
    choices.map((choice) =>
      element("fc-radio", { key: choice.value, value: choice.value, checked: choice.value === value }, choice.label),
    ),
  );
}

// ---- Tabs ----------------------------------------------------------------------------------------------------------

export interface Tab {
  id: string;
  label: string;
  /** Shown in a badge, and said after the label. */
  badge?: string;
}

export interface TabsProps {
  label: string;
  tabs: readonly Tab[];
  selected: string;
  onSelect: (id: string) => void;
  /** What the selected tab shows; nothing else is kept. */
  children: ComponentChildren;
}

export function Tabs({ label, tabs, selected, onSelect, children }: TabsProps): VNode {
  const ref = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    for (const { id, label, badge } of tabs) {
      document.getElementById(`tab-${id}`)?.setAttribute("aria-label", badge ? `${label} ${badge}` : label);
    }
  });
  const onChange = (event: Event) => {
    if (event.target !== ref.current) return;
    const id = (ref.current as HTMLElement & { activeid: string }).activeid.slice("tab-".length);
    if (id !== selected && tabs.some((tab) => tab.id === id)) onSelect(id);
  };
  return element(
    "fc-panels",
    // The library's own underline loses its place when tabs come and go; the style sheet draws one.
    { ref, "aria-label": label, activeid: `tab-${selected}`, activeindicator: false, onChange },
    tabs.map(({ id, label, badge }) =>
      element("fc-panel-tab", { key: `tab-${id}`, id: `tab-${id}` }, label, badge && [" ", h(Badge, { text: badge })]),
    ),
    tabs.map(({ id }) =>
      element("fc-panel-view", { key: `panel-${id}`, id: `panel-${id}` }, id === selected ? children : undefined),
    ),
  );
}

// ---- Small things --------------------------------------------------------------------------------------------------

/** A plain element: the library's one breaks the page's policy on inline styles. */
function Badge({ text }: { text: string }): VNode {
  return element("span", { class: "badge" }, text);
}

/** For the eyes only; say in words beside it what is going on. */
export function ProgressRing(): VNode {
  const ref = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    // By itself it would interrupt a screen reader.
    for (const name of ["aria-label", "aria-live", "role"]) ref.current?.removeAttribute(name);
    ref.current?.setAttribute("aria-hidden", "true");
  }, []);
  return element("fc-progress-ring", { ref });
}
