import { outcomeLine, toJson } from "../client/json.ts";
import type { Run } from "../client/run.ts";
import type { LogLine } from "../protocol/messages/logs.ts";
import type { RunRecord } from "../protocol/messages/runs.ts";
import { FarcallError } from "../spec/errors.ts";
import { GuestParts, sayMissing } from "./guestParts.ts";
import type { Invocation } from "./main.ts";
import { clusterName, clusterNames, flag, noMore, openCluster, runArgument, text, whole } from "./options.ts";
import { LineOutput } from "./output.ts";
import { Reconnecting } from "./reconnecting.ts";
import { reportError } from "./report.ts";
import { count, duration, logLineText, paint, sanitize, StatusLine, table } from "./terminal.ts";

/** `farcall runs`, `logs`, `results` and `cancel`. */

const defaultLimit = 20;

export async function runsCommand({ words, values }: Invocation): Promise<number> {
  noMore(words, "farcall runs");
  const cluster = openCluster(values, { logs: "ignore", onMirror: sayKept(values) });
  try {
    const records = await cluster.runs.list({ limit: whole(values, "limit", 1) ?? defaultLimit });
    if (flag(values, "json")) process.stdout.write(`${toJson(records, 2)}\n`);
    else if (records.length === 0) process.stderr.write("No runs yet.\n");
    else process.stdout.write(`${table(records.map(row), ["DONE", "FAILED", "TOOK"])}\n`);
    return 0;
  } finally {
    cluster.close();
  }
}

function row(record: RunRecord): Record<string, string> {
  const { id, kind, label, state, createdAtMs, endedAtMs, total, done, failed } = record;
  return {
    RUN: id,
    KIND: kind,
    FUNCTION: sanitize(label, false),
    STATE: state,
    DONE: kind === "call" ? "" : `${count(done)}/${total === null ? "?" : count(total)}`,
    FAILED: failed > 0 ? count(failed) : "",
    TOOK: duration((endedAtMs ?? Date.now()) - createdAtMs),
    BEGUN: new Date(createdAtMs).toLocaleString("sv-SE"),
  };
}

export async function logsCommand({ words, values, signal }: Invocation): Promise<number> {
  return readRun(runArgument(words, "farcall logs RUN"), values, async (run) => {
    await using output = await LineOutput.open(undefined);
    await using parts = await GuestParts.open(run.record);
    const follow = flag(values, "follow");
    const tail = whole(values, "tail", 0);
    const options = { follow, signal, ...(tail === undefined ? {} : { tail }) };
    const print = async (part: Run, cluster?: string) => {
      try {
        await printAll(part, cluster);
      } catch (error) {
        // The rest is there without it.
        if (cluster === undefined || signal.aborted) throw error;
        sayMissing(cluster, error);
      }
    };
    const printAll = async (part: Run, cluster: string | undefined) => {
      for await (const lines of part.logs(options)) {
        for (const line of lines) await output.write(logText(line, cluster, flag(values, "json")));
        await output.flush();
      }
    };
    const all: [Run, string?][] = [[run], ...parts.runs];
    // Side by side only while lines come as they are printed.
    if (follow) await Promise.all(all.map((part) => print(...part)));
    else for (const part of all) await print(...part);
    return 0;
  });
}

/** `cluster` for what was printed on another one than the run's own. */
function logText(line: LogLine, cluster: string | undefined, isJson: boolean): string {
  if (isJson) return toJson(cluster === undefined ? line : { cluster, ...line });
  const text = logLineText(line, "stdout");
  return cluster === undefined ? text : `${paint("dim", cluster, "stdout")} ${text}`;
}

export async function resultsCommand({ words, values, signal }: Invocation): Promise<number> {
  const follow = flag(values, "follow");
  const [on, ...guests] = clusterNames(values);
  // Who follows a map to its end also brings work to the clusters that help with it.
  if (guests.length > 0 && follow) values = { ...values, on };
  return readRun(runArgument(words, "farcall results RUN"), values, async (run) => {
    const { home } = run.record;
    if (home !== undefined) {
      throw new FarcallError("run.state", `The map ${run.id} belongs to the cluster ${home}, which has its outcomes.`, {
        hint: `This one worked on it. See \`farcall results ${run.id} --on ${home}\`.`,
      });
    }
    await using output = await LineOutput.open(text(values, "output"));
    if (run.record.kind === "call") {
      try {
        await output.write(toJson(await run.result()));
        return 0;
      } catch (error) {
        return reportError(error);
      }
    }
    await using _guests = follow ? await run.withGuests(guests, say) : undefined;
    const batches = run.batches({
      order: flag(values, "unordered") ? "settled" : "index",
      errorsOnly: flag(values, "errors-only"),
      follow,
      signal,
    });
    let failed = 0;
    for await (const batch of batches) {
      for (const outcome of batch) {
        const printed = outcomeLine(outcome);
        if (printed.failed) failed++;
        await output.write(printed.text);
      }
      await output.flush();
    }
    return failed > 0 ? 1 : 0;
  });
}

export async function cancelCommand({ words, values }: Invocation): Promise<number> {
  const id = runArgument(words, "farcall cancel RUN");
  const cluster = openCluster(values, { logs: "ignore" });
  try {
    const run = await cluster.runs.open(id);
    await run.cancel();
    if (flag(values, "json")) process.stdout.write(`${toJson(run.record)}\n`);
    else process.stderr.write(`${id} is ${run.record.state}.\n`);
    return 0;
  } finally {
    cluster.close();
  }
}

/** Reads a run for as long as that takes: the connection may be lost meanwhile, and the cluster not be there at all. */
async function readRun(id: string, values: Invocation["values"], read: (run: Run) => Promise<number>): Promise<number> {
  using line = new StatusLine();
  using reconnecting = new Reconnecting(line, clusterName(values));
  const cluster = openCluster(values, {
    logs: "ignore",
    onReconnecting: reconnecting.onReconnecting,
    onMirror: sayKept(values),
  });
  try {
    return await read(await cluster.runs.open(id));
  } finally {
    await cluster.kept();
    cluster.close();
  }
}

function say(line: string): void {
  process.stderr.write(`${sanitize(line)}\n`);
}

/** Says that what is shown was kept on this machine, as the cluster is not there. */
function sayKept(values: Invocation["values"]): (why: string) => void {
  const name = clusterName(values);
  return (why) => say(`from what was kept here of ${name}: ${why}`);
}
