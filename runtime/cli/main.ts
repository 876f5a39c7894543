#!/usr/bin/env node
/**
 * `farcall`: finds the command and gives it its options. The commands live in `call` (run, map), `inputs`, `runs`
 * (runs, logs, results, cancel), `clusters` (clusters, status), `lifecycle` (up, down, stop, start) and `ssh`; they are
 * loaded when called, so that help comes at once.
 */
import { parseArgs, type ParseArgsConfig } from "node:util";
import nodeModule from "node:module";
import { FarcallError } from "../spec/errors.ts";
import { farcallVersion } from "../spec/version.ts";

const oldestNode = 24;
if (Number.parseInt(process.versions.node, 10) < oldestNode) {
  process.stderr.write(`farcall needs Node ${oldestNode} or newer; this is ${process.versions.node}.\n`);
  process.exit(2);
}
nodeModule.enableCompileCache();

type Options = NonNullable<ParseArgsConfig["options"]>;
type OptionHelp = readonly [flag: string, text: string];

export interface Invocation {
  /** Words that are no options. */
  words: string[];
  values: Record<string, string | boolean | (string | boolean)[] | undefined>;
  /** Aborts at the first Ctrl-C; the second ends the process at once. */
  signal: AbortSignal;
}

interface Command {
  usage: string;
  summary: string;
  options: Options;
  help: readonly OptionHelp[];
  run(invocation: Invocation): Promise<number>;
}

const anywhere: Options = { json: { type: "boolean" }, help: { type: "boolean", short: "h" } };
const anywhereHelp: readonly OptionHelp[] = [["--json", "make standard output JSON"]];

const where: Options = {
  on: { type: "string" },
  env: { type: "string" },
  reqs: { type: "string", multiple: true },
  var: { type: "string", multiple: true },
  "allow-scripts": { type: "boolean" },
};
const whereHelp: readonly OptionHelp[] = [
  ["--on NAME", "cluster to run on (default: local)"],
  ["--env ENV", "JSON file with the env: reqs, vars, replicas, concurrency, allowScripts, compute; its name in the"],
  ["", "nearest farcall.json; or the JSON itself (default: the env called default there)"],
  ["--reqs A,B", "npm packages to install for the function rather than bundle; repeatable"],
  ["--var K=V", "environment variable of the workers; repeatable"],
  ["--allow-scripts", "let install scripts of npm packages run"],
];

const commands: Record<string, Command> = {
  run: {
    usage: "farcall run FILE#EXPORT [ARGS]",
    summary: "call an exported function once; ARGS is a JSON array",
    options: { ...where, timeout: { type: "string" } },
    help: [...whereHelp, ["--timeout T", "give up after this long, such as 500ms, 30s, 5m"]],
    run: async (invocation) => (await import("./call.ts")).runCommand(invocation),
  },
  map: {
    usage: "farcall map FILE#EXPORT --input FILE|-|glob:PATTERN|MODULE#EXPORT [--output FILE]",
    summary: "call it once for each input; one JSON value an input line, one JSON line an outcome",
    options: {
      ...where,
      input: { type: "string" },
      output: { type: "string" },
      replicas: { type: "string" },
      concurrency: { type: "string" },
      retries: { type: "string" },
      timeout: { type: "string" },
      "on-error": { type: "string" },
      cache: { type: "boolean" },
      "max-cost": { type: "string" },
      unordered: { type: "boolean" },
      detach: { type: "boolean" },
      resume: { type: "string" },
    },
    help: [
      [
        "--input FILE",
        "lines of JSON, a .json array, .csv or .tsv rows, - (standard input), glob:PATTERN, or gen.ts#name (array, generator)",
      ],
      ["--output FILE", "where outcomes go (default: standard output)"],
      ["--replicas N", "worker processes (default: one for each core)"],
      ["--concurrency N", "inputs at a time in each (default: 1)"],
      ["--retries N", "further tries at an input that failed (default: 0)"],
      ["--timeout T", "for each try at an input, such as 500ms, 30s, 5m (default: none)"],
      ["--on-error W", "collect: keep the error as the outcome (default); stop: end at the first"],
      ["--cache", "take outcomes of the same code over the same input from earlier runs"],
      ["--max-cost USD", "begin no further input when the run has cost this much"],
      ["--unordered", "outcomes as they come instead of in input order"],
      ["--detach", "leave when all inputs are stored, and print the id of the run"],
      ["--resume RUN", "go on with a run whose inputs were not all sent; same file, same input"],
      ["--on A,B", "clusters that work on it together; the first holds it (default: local)"],
      ...whereHelp.slice(1),
    ],
    run: async (invocation) => (await import("./call.ts")).mapCommand(invocation),
  },
  inputs: {
    usage: "farcall inputs FILE|-|glob:PATTERN|MODULE#EXPORT",
    summary: "what a map would be given, one JSON value a line",
    options: { limit: { type: "string" }, count: { type: "boolean" } },
    help: [
      ["--limit N", "no more than the first N"],
      ["--count", "only how many there are"],
    ],
    run: async (invocation) => (await import("./inputs.ts")).inputsCommand(invocation),
  },
  runs: {
    usage: "farcall runs",
    summary: "list runs, newest first",
    options: { on: { type: "string" }, limit: { type: "string" } },
    help: [["--limit N", "how many (default: 20)"], whereHelp[0]!],
    run: async (invocation) => (await import("./runs.ts")).runsCommand(invocation),
  },
  logs: {
    usage: "farcall logs RUN",
    summary: "what a run printed",
    options: { on: { type: "string" }, follow: { type: "boolean", short: "f" }, tail: { type: "string" } },
    help: [
      ["-f, --follow", "wait for more until the run has ended"],
      ["--tail N", "of the lines there are only the newest N, of each cluster"],
      whereHelp[0]!,
    ],
    run: async (invocation) => (await import("./runs.ts")).logsCommand(invocation),
  },
  results: {
    usage: "farcall results RUN [--output FILE]",
    summary: "the outcomes of a run",
    options: {
      on: { type: "string" },
      output: { type: "string" },
      unordered: { type: "boolean" },
      "errors-only": { type: "boolean" },
      follow: { type: "boolean", short: "f" },
    },
    help: [
      ["--output FILE", "where they go (default: standard output)"],
      ["-f, --follow", "wait for more until the run has ended; with --on A,B the map that is on A has B help again"],
      ["--errors-only", "only inputs that failed"],
      ["--unordered", "in the order in which they came"],
      whereHelp[0]!,
    ],
    run: async (invocation) => (await import("./runs.ts")).resultsCommand(invocation),
  },
  cancel: {
    usage: "farcall cancel RUN",
    summary: "end a run; its outcomes so far stay",
    options: { on: { type: "string" } },
    help: [whereHelp[0]!],
    run: async (invocation) => (await import("./runs.ts")).cancelCommand(invocation),
  },
  envs: {
    usage: "farcall envs",
    summary: "worker environments that were used, and what is installed for them",
    options: { on: { type: "string" } },
    help: [whereHelp[0]!],
    run: async (invocation) => (await import("./envs.ts")).envsCommand(invocation),
  },
  clusters: {
    usage: "farcall clusters",
    summary: "list clusters and their state",
    options: {},
    help: [],
    run: async (invocation) => (await import("./clusters.ts")).clustersCommand(invocation),
  },
  status: {
    usage: "farcall status [NAME]",
    summary: "a cluster's nodes, agent and replicas",
    options: {},
    help: [],
    run: async (invocation) => (await import("./clusters.ts")).statusCommand(invocation),
  },
  up: {
    usage: "farcall up NAME [--host USER@ADDRESS[:PORT]] [--relay]",
    summary: "make a cluster of your own machines, or see to it that it is up",
    options: { host: { type: "string", multiple: true }, autostop: { type: "string" }, relay: { type: "boolean" } },
    help: [
      ["--host HOST", "a machine to log in to: user@address, user@address:port, or a Host of your ssh config;"],
      ["", "repeatable, and more of them may be named later"],
      ["--relay", "also use machines that do not get through to the others: through clients, while there are some"],
      ["--autostop T", "agents end after this long without work, such as 10m; never (default: 10m)"],
    ],
    run: async (invocation) => (await import("./lifecycle.ts")).upCommand(invocation),
  },
  down: {
    usage: "farcall down NAME",
    summary: "end a cluster, and remove everything of it from its machines",
    options: { force: { type: "boolean" } },
    help: [["--force", "also when runs are active, which are cancelled, or machines cannot be reached"]],
    run: async (invocation) => (await import("./lifecycle.ts")).downCommand(invocation),
  },
  stop: {
    usage: "farcall stop NAME",
    summary: "end a cluster's agents and workers; what they keep stays, for `start`",
    options: { force: { type: "boolean" } },
    help: [["--force", "also when runs are active: they are cancelled"]],
    run: async (invocation) => (await import("./lifecycle.ts")).stopCommand(invocation),
  },
  start: {
    usage: "farcall start NAME",
    summary: "start a cluster that was stopped",
    options: {},
    help: [],
    run: async (invocation) => (await import("./lifecycle.ts")).startCommand(invocation),
  },
  ssh: {
    usage: "farcall ssh NAME [NODE]",
    summary: "log in to a node of a cluster; the first one unless a number is given",
    options: {},
    help: [],
    run: async (invocation) => (await import("./ssh.ts")).sshCommand(invocation),
  },
};

const interruptedStatus = 130;

async function main(argv: string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    const about = rest.find((word) => Object.hasOwn(commands, word));
    process.stdout.write(about === undefined ? overview() : commandHelp(about, commands[about]!));
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-v") {
    process.stdout.write(`${farcallVersion}\n`);
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command)
    throw new FarcallError("usage", `There is no command ${JSON.stringify(name)}.`, {
      hint: "`farcall --help` lists them.",
    });
  const { values, positionals } = parse(name, command, rest);
  if (values["help"]) {
    process.stdout.write(commandHelp(name, command));
    return 0;
  }
  const stop = new AbortController();
  let interrupts = 0;
  process.on("SIGINT", () => {
    if (++interrupts > 1) process.exit(interruptedStatus);
    stop.abort(new FarcallError("run.cancelled", "Interrupted."));
  });
  process.on("SIGTERM", () => {
    interrupts++;
    stop.abort(new FarcallError("run.cancelled", "Asked to end."));
  });
  try {
    const status = await command.run({ words: positionals, values, signal: stop.signal });
    return interrupts > 0 ? interruptedStatus : status;
  } catch (error) {
    if (interrupts === 0) throw error;
    // Whoever only watches a run leaves it as it is.
    process.stderr.write(
      name === "results" || name === "logs" ? "stopped following; the run goes on\n" : "cancelled\n",
    );
    return interruptedStatus;
  }
}

function parse(name: string, command: Command, args: string[]) {
  try {
    return parseArgs({ args, options: { ...anywhere, ...command.options }, allowPositionals: true });
  } catch (error) {
    throw new FarcallError("usage", `${(error as Error).message.split("\n")[0]}`, {
      hint: `\`farcall ${name} --help\` lists the options.`,
    });
  }
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `farcall ${farcallVersion}: run an exported TypeScript function in worker processes, once or over many inputs

${lines.join("\n")}

\`farcall COMMAND --help\` says more. Results go to standard output, everything else to standard error.
Exit status: 0 all well; 1 the function or some inputs failed; 2 the request or the set-up is wrong.
`;
}

function commandHelp(name: string, command: Command): string {
  const help = [...command.help, ...anywhereHelp];
  const width = Math.max(...help.map(([flag]) => flag.length));
  return `${command.usage}\n  ${name}: ${command.summary}\n\n${help.map(([flag, text]) => `  ${flag.padEnd(width)}  ${text}`).join("\n")}\n`;
}

// A reader that has had enough (`farcall results RUN | head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`error: Cannot write to standard output: ${error.message}.\n`);
  process.exit(2);
});
// Nobody is left to be told.
process.stderr.on("error", () => undefined);

/** Ends the process when all it said is written, whatever the user's input module may still be waiting for. */
function end(status: number): void {
  process.exitCode = status;
  process.stdout.write("", () => process.stderr.write("", () => process.exit(status)));
}

main(process.argv.slice(2)).then(end, async (error: unknown) => end((await import("./report.ts")).reportError(error)));
