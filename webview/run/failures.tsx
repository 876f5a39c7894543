import { post } from "../host.ts";
import type { FailureGroup } from "../messages/run.ts";
import { counted, t } from "../text.ts";
import { shown } from "../ui/format.ts";
import { formatCount } from "../ui/numbers.ts";
import { Icon } from "../ui/icon.tsx";
import { useKeptScroll } from "./keptScroll.ts";

/** Failures that are alike, each kind once: what was thrown, where, and for which inputs. */

export interface FailuresProps {
  groups: readonly FailureGroup[];
  /** Only the first of many were read. */
  more: boolean;
  /** Failures of further kinds, which are too many to be shown. */
  others: number;
  /** Shows an input among the results; not for calls. */
  onShow?: (index: number) => void;
  /** What to say when there are none. */
  empty: string;
}

const maxChars = 5_000;

export function Failures(props: FailuresProps) {
  return props.groups.length === 0 ? <p class="empty">{props.empty}</p> : <Groups {...props} />;
}

function Groups({ groups, more, others, onShow }: FailuresProps) {
  const kept = useKeptScroll("failures");
  return (
    <div class="failures" tabIndex={0} role="region" aria-label={t("Failures")} {...kept}>
      {more && <p class="note">{t("There are many failures; only the first of them were read.")}</p>}
      <ul>
        {groups.map((group) => (
          <li key={group.id} class="failure">
            <Group group={group} {...(onShow ? { onShow } : {})} />
          </li>
        ))}
      </ul>
      {others > 0 && (
        <p class="note">
          {counted(
            others,
            "{0} failure of a further kind is not shown; the exported results have it.",
            "{0} failures of further kinds are not shown; the exported results have them.",
          )}
        </p>
      )}
    </div>
  );
}

function Group({ group, onShow }: { group: FailureGroup; onShow?: (index: number) => void }) {
  const { id, title, count, indices, frames, code, details } = group;
  return (
    <>
      <h2>
        <Icon name="error" tone="error" />
        <span class="failure-title">{shown(title, maxChars)}</span>
      </h2>
      {onShow && (
        <p class="inputs">
          <span>{counted(count, "{0} input:", "{0} inputs:")}</span>
          {indices.map((index) => (
            <button
              key={index}
              type="button"
              class="link"
              aria-label={t("Show input {0}", formatCount(index))}
              onClick={() => onShow(index)}
            >
              {formatCount(index)}
            </button>
          ))}
          {count > indices.length && <span aria-hidden="true">…</span>}
        </p>
      )}
      {details.map((detail, position) => (
        <p key={position} class="detail-text">
          {detailText(detail)}
        </p>
      ))}
      {code.length > 0 && (
        <pre class="code" tabIndex={0} role="group" aria-label={t("Source")}>
          {code.map(({ line, text, marked }) => (
            <div key={line} class={marked ? "code-line marked" : "code-line"}>
              <span class="code-number">
                {marked ? "> " : "  "}
                {String(line).padStart(5)}
              </span>
              {shown(text, maxChars)}
            </div>
          ))}
        </pre>
      )}
      {frames.length > 0 && (
        <ol class="frames" aria-label={t("Stack")}>
          {frames.map(({ name, place, opens }, frame) => (
            <li key={frame}>
              {name !== "" && <span class="frame-name">{shown(name, 300)}</span>}
              {opens ? (
                <button type="button" class="link" onClick={() => post({ type: "openFrame", failure: id, frame })}>
                  {shown(place, 1_000)}
                </button>
              ) : (
                <span class="faint">{shown(place, 1_000)}</span>
              )}
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

function detailText({ kind, text }: FailureGroup["details"][number]): string {
  const said = shown(text, maxChars);
  switch (kind) {
    case "hint":
      return said;
    case "cause":
      return t("Caused by {0}", said);
    case "member":
      return t("One of its errors: {0}", said);
    case "further":
      return counted(Number(text), "{0} further error", "{0} further errors");
  }
}
