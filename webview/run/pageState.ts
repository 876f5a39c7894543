import * as v from "valibot";
import { PageState } from "../host.ts";
import { defaultView } from "../messages/run.ts";

/** What a run's page shows of it, kept while the page is hidden. `run` and `cluster` let the editor open it again. */

const tabIds = ["results", "result", "failures", "logs", "activity"] as const;
export type TabId = (typeof tabIds)[number];

const logFilterSchema = v.object({
  text: v.string(),
  stream: v.picklist(["all", "stdout", "stderr", "log"]),
  /** Number of a replica, or `all`. */
  replica: v.string(),
});
export type LogFilter = v.InferOutput<typeof logFilterSchema>;
export const noLogFilter: LogFilter = { text: "", stream: "all", replica: "all" };

const resultsPlaceSchema = v.object({ firstRow: v.number(), active: v.number(), open: v.nullable(v.number()) });
export const noResultsPlace: v.InferOutput<typeof resultsPlaceSchema> = { firstRow: 0, active: 0, open: null };

const stateSchema = v.object({
  run: v.string(),
  cluster: v.string(),
  tab: v.nullable(v.picklist(tabIds)),
  view: v.object({ sort: v.string(), descending: v.boolean(), filter: v.string(), failuresOnly: v.boolean() }),
  logFilter: logFilterSchema,
  /** Time of the first line of the log in sight; null while its end is followed. */
  logFromMs: v.optional(v.nullable(v.number()), null),
  /** Of the results, the row at the top, the one that Tab reaches, and the input whose value is open. */
  results: v.optional(resultsPlaceSchema, noResultsPlace),
  /** How far the tabs that scroll as a whole are scrolled. */
  scrolledPx: v.optional(v.object({ failures: v.number(), activity: v.number() }), { failures: 0, activity: 0 }),
});

export const pageState = new PageState(stateSchema, {
  run: "",
  cluster: "",
  tab: null,
  view: defaultView,
  logFilter: noLogFilter,
  logFromMs: null,
  results: noResultsPlace,
  scrolledPx: { failures: 0, activity: 0 },
});
