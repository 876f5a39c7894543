import * as v from "valibot";

/** Fields that messages of several kinds have. */

export const count = v.pipe(v.number(), v.integer(), v.minValue(0));
export const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
export const runId = v.pipe(v.string(), v.maxLength(40), v.regex(/^[a-z0-9-]+$/));
export const inputName = v.pipe(v.string(), v.maxLength(4096));
export const clusterName = v.pipe(v.string(), v.maxLength(200));
export const clusterNames = v.pipe(v.array(clusterName), v.maxLength(100));
export const nothing = v.object({});
