import { choiceText } from "../../extension/lenses/fields.ts";
import type { FormParameter } from "../messages/launch.ts";
import { t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { Checkbox, type ControlRef, Dropdown, TextArea, TextField } from "../ui/toolkit.ts";
import { parameterLabel } from "./check.ts";
import { describers, FieldFrame } from "./field.tsx";

/** The field for one parameter of a function. */

export interface ParameterFieldProps {
  parameter: FormParameter;
  number: number;
  text: string;
  problem: string | undefined;
  onInput: (text: string) => void;
  controlRef?: ControlRef;
}

const maxLabelChars = 200;
const maxDocChars = 2_000;

export function parameterId(number: number): string {
  return `parameter-${number}`;
}

export function ParameterField({ parameter, number, text, problem, onInput, controlRef }: ParameterFieldProps) {
  const { field, name, type, rest } = parameter;
  const id = parameterId(number);
  const isUnsayable = field.kind === "json" && field.unsayable === true;
  const doc = [shown(parameter.doc, maxDocChars), isUnsayable ? t("This cannot be entered as JSON.") : ""]
    .filter((part) => part !== "")
    .join(" ");
  const label = shown(parameterLabel(parameter), maxLabelChars);
  const common = {
    label: field.optional ? t("{0}, optional", label) : label,
    invalid: problem !== undefined,
    describedBy: describers(id, doc),
    ...(controlRef ? { controlRef } : {}),
  };
  const placeholder = parameter.default === "" ? {} : { placeholder: t("default: {0}", shown(parameter.default, 100)) };
  const isBox = field.kind === "checkbox" && !field.optional;
  const title = (
    <>
      <span class="name">
        {rest && "..."}
        {shown(name, 100)}
      </span>
      {type !== "" && <span class="type">{shown(type, maxLabelChars)}</span>}
      {field.optional && <span class="optional">{t("optional")}</span>}
    </>
  );
  const notGiven = parameter.default === "" ? t("(not given)") : t("(default: {0})", shown(parameter.default, 100));

  const control = () => {
    switch (field.kind) {
      case "checkbox":
        if (isBox) {
          return (
            <div class="box-line">
              <Checkbox
                label={shown(name, 100)}
                name={common.label}
                checked={text === "true"}
                onChange={(checked) => onInput(String(checked))}
                {...(controlRef ? { controlRef } : {})}
              />
              {type !== "" && (
                <span class="type" aria-hidden="true">
                  {shown(type, maxLabelChars)}
                </span>
              )}
            </div>
          );
        }
        return (
          <Dropdown
            {...common}
            value={text}
            onChange={onInput}
            choices={[
              { value: "", label: notGiven },
              { value: "true", label: "true" },
              { value: "false", label: "false" },
            ]}
          />
        );
      case "choice": {
        const choices = field.values.map((value) => ({ value: choiceText(value), label: choiceText(value) }));
        return (
          <Dropdown
            {...common}
            value={text}
            onChange={onInput}
            choices={[{ value: "", label: field.optional ? notGiven : t("(choose)") }, ...choices]}
          />
        );
      }
      case "json":
        return (
          <TextArea
            {...common}
            monospace
            value={text}
            onInput={onInput}
            placeholder={placeholder.placeholder ?? field.placeholder}
          />
        );
      default:
        return <TextField {...common} {...placeholder} value={text} onInput={onInput} />;
    }
  };
  return (
    <FieldFrame id={id} {...(isBox ? {} : { title })} doc={doc} problem={problem}>
      {control()}
    </FieldFrame>
  );
}
