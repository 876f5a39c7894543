import * as v from "valibot";
import { specError } from "./env.ts";

/** How a map treats its inputs. */
export interface MapOptions {
  /** Worker processes for this map. Default: those of the env, and without that one for each core of the node. */
  replicas?: number;
  /** Inputs one replica works on at the same time. Default 1; raise it for functions that wait for the network. */
  concurrency?: number;
  /** How often an input is tried again after the function threw. Default 0. */
  retries?: number;
  /** Milliseconds one attempt at one input may take. Default: no limit. */
  timeoutMs?: number;
  /** `stop` (default) ends the map at the first input that fails; `collect` keeps the error as that input's outcome. */
  onError?: "stop" | "collect";
  /** Take the outcome of an input from an earlier map of the same code over the same value. Default false. */
  cache?: boolean;
  /** US dollars after which no further input is begun. Default: no limit. */
  maxCostUsd?: number;
}

const whole = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));

export const mapOptionsSchema = v.strictObject({
  replicas: v.optional(whole(1, 4096)),
  concurrency: v.optional(whole(1, 10_000)),
  retries: v.optional(whole(0, 100)),
  timeoutMs: v.optional(whole(1, 2 ** 31 - 1)),
  onError: v.optional(v.picklist(["stop", "collect"])),
  cache: v.optional(v.boolean()),
  maxCostUsd: v.optional(v.pipe(v.number(), v.minValue(0))),
});

export function checkMapOptions(options: unknown): MapOptions {
  const parsed = v.safeParse(mapOptionsSchema, options);
  if (!parsed.success) throw specError("map options", parsed.issues);
  return parsed.output;
}
