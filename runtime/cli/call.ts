import { errorJson, outcomeLine, toJson } from "../client/json.ts";
import { stat } from "node:fs/promises";
import { openInput } from "../inputs/source.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import { isRunId } from "../spec/names.ts";
import type { MapOptions } from "../spec/map.ts";
import { checkMapOptions } from "../spec/map.ts";
import { inputName } from "../inputs/inputName.ts";
import type { Invocation } from "./main.ts";
import { Cluster, type ClusterOptions } from "../cluster/cluster.ts";
import { asked, clusterNames, envSpec, flag, noMore, openCluster, target, text, timeMs, whole } from "./options.ts";
import { LineOutput } from "./output.ts";
import { MapProgress } from "./progress.ts";
import { Reconnecting } from "./reconnecting.ts";
import { describe, reportError } from "./report.ts";
import { consoleToStandardError, logLineText, paint, sanitize, StatusLine } from "./terminal.ts";

/** `farcall run` and `farcall map`. */

export async function runCommand({ words, values, signal }: Invocation): Promise<number> {
  const usage = "farcall run FILE#EXPORT [ARGS]";
  const { file, name, rest } = target(words, usage);
  const args = parseArguments(rest, usage);
  const json = flag(values, "json");
  using line = new StatusLine();
  using cluster = closing(openCluster(values, { logs: (each) => line.print(logLineText(each)) }));
  const timeoutMs = timeMs(values, "timeout");
  const module = await cluster.cluster.openModule(file, {
    env: await envSpec(values, file),
    signal,
    onProgress: (each) => line.print(paint("dim", sanitize(each, false))),
  });
  const { kind } = await module.find(name);
  await using output = await LineOutput.open(undefined);
  const options = { signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  try {
    if (kind === "generator" || kind === "async-generator") {
      for await (const value of module.stream(name, args, options)) {
        await output.write(toJson(value));
        await output.flush();
      }
    } else {
      const value = await module.call(name, args, options);
      await output.write(json ? `{"value":${toJson(value)}}` : toJson(value, process.stdout.isTTY ? 2 : undefined));
    }
    return 0;
  } catch (error) {
    if (signal.aborted) throw error;
    if (json && error instanceof Error) await output.write(`{"error":${toJson(errorJson(error))}}`);
    return reportError(error);
  }
}

export async function mapCommand({ words, values, signal }: Invocation): Promise<number> {
  const usage = "farcall map FILE#EXPORT --input FILE|-|glob:PATTERN|MODULE#EXPORT";
  const { file, name, rest } = target(words, usage);
  noMore(rest, usage);
  const options = mapOptions(values);
  const resume = text(values, "resume");
  if (resume !== undefined && !isRunId(resume))
    throw new FarcallError("run.unknown", `${JSON.stringify(resume)} is not the id of a run.`);
  using line = new StatusLine();
  const env = await envSpec(values, file);
  const given = text(values, "input");
  if (given === undefined) {
    throw new FarcallError("usage", "No input is named.", {
      hint: "Give --input FILE, --input - for standard input, --input glob:PATTERN, or --input gen.ts#name.",
    });
  }
  consoleToStandardError();
  const [homeName = "local", ...guestNames] = clusterNames(values);
  if (guestNames.length > 0 && flag(values, "detach")) {
    throw new FarcallError("usage", `A map on several clusters cannot be left with --detach.`, {
      hint: "This process carries work between them. Leave out --detach, or name one cluster.",
    });
  }
  using input = await openInput(given, { signal });
  using reconnecting = new Reconnecting(line, homeName);
  const { onReconnecting } = reconnecting;
  const open = (name: string, options: ClusterOptions) => new Cluster(name, { ...options, ...asked() });
  const onWarning = (warning: string) => line.print(paint("yellow", sanitize(warning, false)));
  using guests = new DisposableStack();
  const on = guestNames.map((name) => {
    const logs: ClusterOptions["logs"] = (each) => line.print(`${paint("dim", name)} ${logLineText(each)}`);
    return guests.adopt(open(name, { logs }), (guest) => guest.close());
  });
  using cluster = closing(open(homeName, { logs: (each) => line.print(logLineText(each)), onReconnecting }));
  const module = await cluster.cluster.openModule(file, {
    env,
    signal,
    onProgress: (each) => line.print(paint("dim", sanitize(each, false))),
  });
  // Nothing is begun, nor said to be, before every cluster can do it.
  await Promise.all([module, ...on.map((guest) => guest.bring(module))].map((each) => each.find(name)));
  await refuseSameFile(given, text(values, "output"));
  await using output = await LineOutput.open(text(values, "output"));
  signal.throwIfAborted();
  const run = module.map(name, input.values, { ...options, run: resume, input: inputName(given), on, onWarning });
  const cancel = () => void run.cancel().catch(() => undefined);
  signal.addEventListener("abort", cancel, { once: true });
  if (flag(values, "detach")) {
    await run.accepted;
    process.stdout.write(flag(values, "json") ? `${toJson({ run: run.id })}\n` : `${run.id}\n`);
    return 0;
  }
  using progress = new MapProgress(line, () => {
    const { total, ...others } = run.progress;
    return { ...others, total: total ?? null, isReconnecting: reconnecting.isReconnecting };
  });
  let failed = 0;
  let firstError: Error | undefined;
  try {
    for await (const batch of run.batches(flag(values, "unordered") ? "settled" : "index")) {
      for (const outcome of batch) {
        const printed = outcomeLine(outcome);
        if (printed.failed) failed++;
        if ("error" in outcome) firstError ??= outcome.error;
        await output.write(printed.text);
      }
      await output.flush();
    }
    line.print(progress.summary(run.id));
    if (firstError) line.print(`The first that failed:\n${describe(firstError).join("\n")}`);
    return failed > 0 ? 1 : 0;
  } catch (error) {
    await output.flush();
    line.print(progress.summary(run.id));
    throw error;
  } finally {
    await Promise.all([cluster.cluster, ...on].map((each) => each.kept()));
  }
}

/** Opening the output empties it, which must not be what is read next. */
async function refuseSameFile(input: string, output: string | undefined): Promise<void> {
  if (output === undefined) return;
  const [read, written] = await Promise.all([input, output].map((path) => stat(path).catch(() => undefined)));
  if (read === undefined || written === undefined || !read.isFile()) return;
  if (read.dev !== written.dev || read.ino !== written.ino) return;
  throw new FarcallError("usage", `The input and the output are the same file, ${output}.`, {
    hint: "Name another file for the output.",
  });
}

function parseArguments(words: readonly string[], usage: string): unknown[] {
  const [given, ...rest] = words;
  if (given === undefined) return [];
  if (rest.length > 0)
    throw new FarcallError("usage", "The arguments are more than one word.", {
      hint: `Usage: ${usage}; quote ARGS for the shell: '["a", 1]'.`,
    });
  let args: unknown;
  try {
    args = JSON.parse(given);
  } catch (cause) {
    throw new FarcallError("usage", `The arguments are not JSON: ${messageOf(cause)}.`, {
      hint: `Usage: ${usage}; ARGS is a JSON array: '["a", 1]'.`,
    });
  }
  if (Array.isArray(args)) return args as unknown[];
  throw new FarcallError("usage", `The arguments are ${given}, which is no array.`, {
    hint: `ARGS is a JSON array of all arguments: '[${given}]'.`,
  });
}

function mapOptions(values: Invocation["values"]): MapOptions {
  const onError = text(values, "on-error") ?? "collect";
  if (onError !== "collect" && onError !== "stop")
    throw new FarcallError("usage", `--on-error is ${JSON.stringify(onError)}.`, { hint: "Give collect or stop." });
  const maxCost = text(values, "max-cost");
  if (maxCost !== undefined && !(Number(maxCost) >= 0))
    throw new FarcallError("usage", `--max-cost is ${JSON.stringify(maxCost)}.`, {
      hint: "Give US dollars, such as 2.50.",
    });
  const given: Record<string, unknown> = {
    replicas: whole(values, "replicas", 1),
    concurrency: whole(values, "concurrency", 1),
    retries: whole(values, "retries", 0),
    timeoutMs: timeMs(values, "timeout"),
    cache: flag(values, "cache") ? true : undefined,
    maxCostUsd: maxCost === undefined ? undefined : Number(maxCost),
    onError,
  };
  return checkMapOptions(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
}

function closing<T extends { close(): void }>(cluster: T): { cluster: T } & Disposable {
  return { cluster, [Symbol.dispose]: () => cluster.close() };
}
