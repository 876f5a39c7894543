import { t } from "../text.ts";
import { Checkbox } from "../ui/toolkit.ts";
import { FieldFrame } from "./field.tsx";

export interface GuestsProps {
  /** Clusters that there are beside the map's own. */
  clusters: readonly string[];
  chosen: readonly string[];
  onChange: (chosen: string[]) => void;
}

/** Other clusters that work on a map as well. */
export function Guests({ clusters, chosen, onChange }: GuestsProps) {
  return (
    <section class="form-section">
      <FieldFrame id="guests" title={t("Also on")} doc={t("They help for as long as this window is open.")}>
        <div class="guests" role="group" aria-label={t("Also on")}>
          {clusters.map((name) => (
            <Checkbox
              key={name}
              label={name}
              name={t("Also on {0}", name)}
              checked={chosen.includes(name)}
              onChange={(isChosen) =>
                onChange(clusters.filter((each) => (each === name ? isChosen : chosen.includes(each))))
              }
            />
          ))}
        </div>
      </FieldFrame>
    </section>
  );
}
