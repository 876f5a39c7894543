import type { LaunchForm } from "../messages/launch.ts";
import { t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { type ControlRef, Dropdown } from "../ui/toolkit.ts";
import { problemOf } from "./check.ts";
import { FieldFrame } from "./field.tsx";
import { ParameterField } from "./parameterField.tsx";

/** A field for each parameter, and the arguments of earlier runs to begin with. */

export interface CallFieldsProps {
  form: LaunchForm;
  texts: readonly string[];
  /** Fields that were left: an empty one is not wrong before that. */
  touched: ReadonlySet<number>;
  refused: { parameter: number | null; message: string } | undefined;
  onTexts: (texts: string[], changed: readonly number[]) => void;
  firstRef: ControlRef;
}

const maxHistoryChars = 100;

export function CallFields({ form, texts, touched, refused, onTexts, firstRef }: CallFieldsProps) {
  const { parameters, history } = form;
  const earlier = history.findIndex(
    (each) => each.length === texts.length && each.every((text, i) => text === texts[i]),
  );
  return (
    <>
      {history.length > 0 && parameters.length > 0 && (
        <FieldFrame id="history" title={t("Earlier arguments")}>
          <Dropdown
            label={t("Earlier arguments")}
            value={earlier < 0 ? "" : String(earlier)}
            choices={[
              { value: "", label: t("(choose)") },
              ...history.map((each, number) => ({ value: String(number), label: summary(each) })),
            ]}
            onChange={(chosen) => {
              const given = chosen === "" ? undefined : history[Number(chosen)];
              if (given)
                onTexts(
                  parameters.map((_, i) => given[i] ?? ""),
                  [...parameters.keys()],
                );
            }}
          />
        </FieldFrame>
      )}
      {parameters.length === 0 && <p class="faint">{t("This function takes no arguments.")}</p>}
      {parameters.map((parameter, number) => {
        const text = texts[number] ?? "";
        const problem = text !== "" || touched.has(number) ? problemOf(parameter.field, text) : undefined;
        return (
          <ParameterField
            key={number}
            parameter={parameter}
            number={number}
            text={text}
            problem={refused?.parameter === number ? shown(refused.message, 2_000) : problem}
            onInput={(next) => onTexts(texts.toSpliced(number, 1, next), [number])}
            {...(number === 0 ? { controlRef: firstRef } : {})}
          />
        );
      })}
    </>
  );
}

function summary(texts: readonly string[]): string {
  const line = texts.map((text) => (text === "" ? "–" : text.replaceAll(/\s+/g, " "))).join(", ");
  return shown(line, maxHistoryChars);
}
