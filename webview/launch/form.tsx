import { useEffect, useRef, useState } from "preact/hooks";
import { listen, post } from "../host.ts";
import type { LaunchForm } from "../messages/launch.ts";
import { maxTextChars } from "../messages/fields.ts";
import { t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { Strip } from "../ui/strip.tsx";
import { Button, Dropdown, focusControl } from "../ui/toolkit.ts";
import { CallFields } from "./callFields.tsx";
import { type MapOptionName, optionProblem, problemOf } from "./check.ts";
import { FieldFrame, fieldId } from "./field.tsx";
import { type Entries, entriesFor, pageState } from "./formState.ts";
import { Guests } from "./guests.tsx";
import { MapOptions } from "./mapOptions.tsx";
import { parameterId } from "./parameterField.tsx";
import { Source } from "./source.tsx";

/** The form for one function: what to call it with, or what to map it over. */

const optionNames: readonly MapOptionName[] = ["replicas", "concurrency", "retries", "timeoutSeconds"];
/** Where the keys have other names. */
const isMac = navigator.userAgent.includes("Macintosh");

export function Form({ form }: { form: LaunchForm }) {
  const [entries, setEntries] = useState<Entries>(() => entriesFor(form));
  const [touched, setTouched] = useState<ReadonlySet<number>>(new Set());
  const [refused, setRefused] = useState<{ parameter: number | null; message: string }>();
  const [sourceProblem, setSourceProblem] = useState<string | null>(null);
  const [isMissed, setMissed] = useState(false);
  /** Until it is refused or the form is closed: what it takes to begin may be an installation of minutes. */
  const [isSent, setSent] = useState(false);
  const first = useRef<HTMLElement | null>(null);
  const isMap = form.target.mode === "map";

  const change = (change: Partial<Entries>) => {
    setRefused(undefined);
    setSent(false);
    setEntries((before) => {
      const next = { ...before, ...change };
      pageState.update(next);
      return next;
    });
  };

  useEffect(() => {
    // A control can take the focus once its own parts are drawn.
    const frame = requestAnimationFrame(() => first.current?.focus());
    return () => cancelAnimationFrame(frame);
  }, []);
  useEffect(
    () =>
      listen((message) => {
        if (message.type === "refused") {
          setRefused({ parameter: message.parameter, message: message.message });
          setSent(false);
        } else if (message.type === "picked") {
          const { kind, text } = message;
          setRefused(undefined);
          setEntries((before) => {
            const next = { ...before, source: kind, sourceTexts: { ...before.sourceTexts, [kind]: text } };
            pageState.update(next);
            return next;
          });
        }
      }),
    [],
  );
  const sourceText = entries.sourceTexts[entries.source];
  /** The fields that are not right, from the top. */
  const wrongFields = isMap
    ? [
        ...(sourceText.trim() === "" || sourceText.length > maxTextChars || sourceProblem !== null ? ["source"] : []),
        ...optionNames.filter((name) => optionProblem(name, entries.map[name]) !== undefined),
      ]
    : form.parameters.flatMap(({ field }, number) =>
        problemOf(field, entries.texts[number] ?? "") === undefined ? [] : [parameterId(number)],
      );

  const submit = () => {
    const [wrong] = wrongFields;
    if (wrong !== undefined) {
      // Now is the time to say what is still missing.
      setTouched(new Set(form.parameters.keys()));
      setMissed(true);
      focusControl(document.getElementById(fieldId(wrong)));
      return;
    }
    if (isSent) return;
    setSent(true);
    const { cluster, env, texts, map } = entries;
    const guests = isMap ? entries.guests.filter((name) => name !== cluster) : [];
    post({ type: "submit", cluster, guests, env, texts, map, source: { kind: entries.source, text: sourceText } });
  };

  const isAtField = refused?.parameter !== null && refused !== undefined && refused.parameter < form.parameters.length;
  return (
    <main
      class="launch-page"
      onKeyDown={(event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        event.stopPropagation();
        submit();
      }}
    >
      <div class="launch-head">
        <h1>
          {isMap ? t("Map {0} in parallel", shown(form.name, 200)) : t("Run {0} remotely", shown(form.name, 200))}
        </h1>
        <p class="faint">{shown(form.file, 500)}</p>
        <p class="signature">{shown(form.signature, 2_000)}</p>
        {form.doc !== "" && <p class="doc">{shown(form.doc, 5_000)}</p>}
        {form.warning !== "" && <Strip tone="warning" role="note" text={shown(form.warning, 2_000)} />}
      </div>
      {isMap ? (
        <>
          <Source
            kind={entries.source}
            text={sourceText}
            controlRef={first}
            onProblem={setSourceProblem}
            isMissed={isMissed}
            onChange={({ kind = entries.source, text }) =>
              change({
                source: kind,
                sourceTexts: text === undefined ? entries.sourceTexts : { ...entries.sourceTexts, [kind]: text },
              })
            }
          />
          <MapOptions map={entries.map} onChange={(map) => change({ map: { ...entries.map, ...map } })} />
        </>
      ) : (
        <section class="form-section">
          <CallFields
            form={form}
            texts={entries.texts}
            touched={touched}
            refused={refused}
            firstRef={first}
            onTexts={(texts, changed) => {
              change({ texts });
              setTouched(new Set([...touched, ...changed]));
            }}
          />
        </section>
      )}
      <section class="form-section columns">
        <FieldFrame id="env" title={t("Env")}>
          <Dropdown
            label={t("Env")}
            value={entries.env}
            choices={form.envs.map((name) => ({ value: name, label: name }))}
            onChange={(env) => change({ env })}
          />
        </FieldFrame>
        {form.clusters.length > 1 && (
          <FieldFrame id="cluster" title={t("Cluster")}>
            <Dropdown
              label={t("Cluster")}
              value={entries.cluster}
              choices={form.clusters.map((name) => ({ value: name, label: name }))}
              onChange={(cluster) => change({ cluster })}
            />
          </FieldFrame>
        )}
      </section>
      {isMap && form.clusters.length > 1 && (
        <Guests
          clusters={form.clusters.filter((name) => name !== entries.cluster)}
          chosen={entries.guests}
          onChange={(guests) => change({ guests })}
        />
      )}
      <div role="alert">{refused && !isAtField && <Strip tone="error" text={shown(refused.message, 5_000)} />}</div>
      <div class="buttons">
        <Button
          look="primary"
          icon={isMap ? "run-all" : "play"}
          label={isMap ? t("Map") : t("Run")}
          title={isMac ? "⌘Enter" : t("Ctrl+Enter")}
          disabled={isSent}
          onPress={submit}
        />
        <Button label={t("Close")} onPress={() => post({ type: "close" })} />
      </div>
    </main>
  );
}
