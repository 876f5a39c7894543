import type { MapForm } from "../messages/launch.ts";
import { t } from "../text.ts";
import { RadioGroup, TextField } from "../ui/toolkit.ts";
import { type MapOptionName, optionProblem } from "./check.ts";
import { describers, FieldFrame } from "./field.tsx";

/** How a map is to be run. Every field may stay empty. */
export function MapOptions({ map, onChange }: { map: MapForm; onChange: (change: Partial<MapForm>) => void }) {
  const fields: { name: MapOptionName; label: string; placeholder: string; doc: string }[] = [
    {
      name: "replicas",
      label: t("Replicas"),
      placeholder: t("as the env says"),
      doc: t("Worker processes at most."),
    },
    {
      name: "concurrency",
      label: t("Inputs at a time"),
      placeholder: "1",
      doc: t("For each replica; more than one helps functions that wait."),
    },
    { name: "retries", label: t("Retries"), placeholder: "0", doc: t("Further attempts for an input that fails.") },
    {
      name: "timeoutSeconds",
      label: t("Time limit in seconds"),
      placeholder: t("none"),
      doc: t("For one attempt at one input."),
    },
  ];
  return (
    <section class="form-section">
      <h2>{t("Options")}</h2>
      <div class="columns">
        {fields.map(({ name, label, placeholder, doc }) => {
          const problem = optionProblem(name, map[name]);
          return (
            <FieldFrame key={name} id={name} title={label} doc={doc} problem={problem}>
              <TextField
                label={t("{0}, optional", label)}
                placeholder={placeholder}
                value={map[name]}
                invalid={problem !== undefined}
                describedBy={describers(name, doc)}
                onInput={(text) => onChange({ [name]: text.slice(0, 100) })}
              />
            </FieldFrame>
          );
        })}
      </div>
      <RadioGroup
        label={t("When an input fails")}
        value={map.onError}
        onChange={(onError) => onChange({ onError: onError as MapForm["onError"] })}
        choices={[
          { value: "collect", label: t("Go on and collect the failures") },
          { value: "stop", label: t("Stop at the first failure") },
        ]}
      />
    </section>
  );
}
