import * as v from "valibot";
import { PageState } from "../host.ts";
import { defaultView } from "../messages.ts";

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

const stateSchema = v.object({
  run: v.string(),
  cluster: v.string(),
  tab: v.nullable(v.picklist(tabIds)),
  view: v.object({ sort: v.string(), descending: v.boolean(), filter: v.string(), failuresOnly: v.boolean() }),
  logFilter: logFilterSchema,
  /** Time of the first line of the log in sight; null while its end is followed. */
  logFromMs: v.nullable(v.number()),
  /** How far the tabs that scroll as a whole are scrolled. */
  scrolledPx: v.object({ failures: v.number(), activity: v.number() }),
});

export const pageState = new PageState(stateSchema, {
  run: "",
  cluster: "",
  tab: null,
  view: defaultView,
  logFilter: noLogFilter,
  logFromMs: null,
  scrolledPx: { failures: 0, activity: 0 },
});
