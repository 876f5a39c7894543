import { useEffect, useRef, useState } from "preact/hooks";
import { listen, post } from "../host.ts";
import { maxTextChars } from "../messages/fields.ts";
import type { SourceKind } from "../messages/launch.ts";
import { counted, t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { formatCount } from "../ui/numbers.ts";
import { Icon } from "../ui/icon.tsx";
import { Button, type ControlRef, RadioGroup, TextArea, TextField } from "../ui/toolkit.ts";
import { describers, FieldFrame } from "./field.tsx";

/** Where the inputs of a map come from, with the first of them as a check. */

export interface SourceProps {
  kind: SourceKind;
  text: string;
  onChange: (change: { kind?: SourceKind; text?: string }) => void;
  onProblem: (problem: string | null) => void;
  /** Somebody wanted to begin without inputs. */
  isMissed: boolean;
  controlRef: ControlRef;
}

interface Preview {
  count: number | null;
  exact: boolean;
  first: string[];
  problem: string | null;
}

const previewAfterMs = 300;
const maxChars = 2_000;
let lastRequest = 0;

export function Source({ kind, text, onChange, onProblem, isMissed, controlRef }: SourceProps) {
  const isEmpty = text.trim() === "";
  const isTooLong = text.length > maxTextChars;
  const isTyping = useRef(false);
  const [typed, setTyped] = useState(0);
  const isHeldBack = kind === "export" && isTyping.current;
  const preview = usePreview(kind, isTooLong ? "" : text, isHeldBack, typed);
  const found = isTooLong
    ? t("This is too long: at most {0} characters can be given here. Use a file.", formatCount(maxTextChars))
    : (preview?.problem ?? null);
  useEffect(() => onProblem(found), [found]);
  const problem = found ?? (isMissed && isEmpty ? t("Say which inputs to map.") : null);
  const words = wordsOf(kind);
  const control = {
    label: words.label,
    placeholder: words.placeholder,
    value: text,
    onInput: (next: string) => {
      isTyping.current = true;
      onChange({ text: next });
    },
    onLeave: () => {
      if (!isTyping.current) return;
      isTyping.current = false;
      setTyped((before) => before + 1);
    },
    invalid: problem !== null,
    describedBy: describers("source", words.doc),
    controlRef,
  };
  return (
    <section class="form-section">
      <RadioGroup
        label={t("Inputs")}
        value={kind}
        onChange={(next) => onChange({ kind: next as SourceKind })}
        choices={[
          { value: "file", label: t("File: JSON, JSON Lines or CSV") },
          { value: "glob", label: t("Files by pattern") },
          { value: "export", label: t("Exported array or generator") },
          { value: "paste", label: t("Paste") },
        ]}
      />
      <FieldFrame
        id="source"
        title={words.label}
        doc={words.doc}
        problem={problem === null ? undefined : shown(problem, maxChars)}
      >
        {kind === "paste" ? (
          <TextArea key="paste" {...control} monospace />
        ) : (
          <div class="with-button">
            <TextField key={kind} {...control} />
            <Button label={t("Browse…")} onPress={() => post({ type: "pickSource", kind })} />
          </div>
        )}
      </FieldFrame>
      {!isTooLong && <PreviewArea preview={preview} isEmpty={isEmpty} isHeldBack={isHeldBack} />}
    </section>
  );
}

interface PreviewAreaProps {
  preview: Preview | undefined;
  isEmpty: boolean;
  isHeldBack: boolean;
}

function PreviewArea({ preview, isEmpty, isHeldBack }: PreviewAreaProps) {
  if (isEmpty) return <p class="preview faint">{t("The first inputs are shown here.")}</p>;
  if (isHeldBack)
    return <p class="preview faint">{t("The export is run for its first inputs when you press Enter.")}</p>;
  if (!preview) return <p class="preview faint">{t("Reading the inputs…")}</p>;
  const { count, exact, first, problem } = preview;
  if (problem !== null || count === null) return null;
  return (
    <div class="preview" role="status">
      <p>
        <Icon name={count === 0 ? "warning" : "check"} {...(count === 0 ? {} : { tone: "ok" as const })} />
        {countText(count, exact, first.length)}
      </p>
      {first.length > 0 && (
        <pre class="code" tabIndex={0} role="group" aria-label={t("The first inputs")}>
          {first.map((line, number) => (
            <div key={number} class="code-line">
              {shown(line, maxChars)}
            </div>
          ))}
        </pre>
      )}
    </div>
  );
}

function countText(count: number, exact: boolean, shownCount: number): string {
  if (count === 0 && !exact) return t("No input came within some seconds.");
  if (count === 0) return t("There are no inputs.");
  if (!exact) return t("At least {0} inputs; the first {1}:", formatCount(count), shownCount);
  if (count <= shownCount) return counted(count, "{0} input:", "{0} inputs:");
  return t("{0} inputs; the first {1}:", formatCount(count), shownCount);
}

/**
 * What is known of the source's inputs; undefined while it is being asked for. With `isHeldBack` it is not asked for
 * before `typed` has changed: an export is the code of the workspace, which is not run for each pause while typing.
 */
function usePreview(kind: SourceKind, text: string, isHeldBack: boolean, typed: number): Preview | undefined {
  const [preview, setPreview] = useState<Preview>();
  const awaited = useRef(0);
  useEffect(
    () =>
      listen((message) => {
        if (message.type !== "preview" || message.request !== awaited.current) return;
        setPreview({ count: message.count, exact: message.exact, first: message.first, problem: message.problem });
      }),
    [],
  );
  useEffect(() => {
    setPreview(undefined);
    // Whatever is answered from here on is about another source.
    awaited.current = ++lastRequest;
    if (text.trim() === "" || isHeldBack) return undefined;
    const request = awaited.current;
    const timer = setTimeout(() => post({ type: "previewSource", request, source: { kind, text } }), previewAfterMs);
    return () => clearTimeout(timer);
  }, [kind, text, typed]);
  return preview;
}

function wordsOf(kind: SourceKind): { label: string; placeholder: string; doc: string } {
  switch (kind) {
    case "file":
      return {
        label: t("File"),
        placeholder: "data/inputs.jsonl",
        doc: t("An array in a .json file, a line of JSON for each input, or a .csv file with a head row."),
      };
    case "glob":
      return {
        label: t("Pattern"),
        placeholder: "docs/**/*.md",
        doc: t("The path of each file that fits is an input."),
      };
    case "export":
      return {
        label: t("Export"),
        placeholder: "src/inputs.ts#urls",
        doc: t("A file and the name of an array, or of a function or generator without parameters."),
      };
    case "paste":
      return {
        label: t("Inputs as text"),
        placeholder: '["first", "second"]',
        doc: t("A JSON array, or a line of JSON for each input."),
      };
  }
}
