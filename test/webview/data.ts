import type { ClusterNode, ClusterView } from "../../webview/messages/cluster.ts";
import type {
  ConnectionProblem,
  FailureGroup,
  PanelLogLine,
  ResultRow,
  RunHeader,
  TimelineData,
  TreeNode,
} from "../../webview/messages/run.ts";
import type { LaunchForm } from "../../webview/messages/launch.ts";
import type { ToExtension } from "../../webview/messages/toExtension.ts";
import type { ToPage } from "../../webview/messages/toPage.ts";

/** What an extension would send: a run, its rows, its log, a form. */

export const start: ToPage = { type: "start", locale: "en", strings: null };

export function run(change: Partial<RunHeader> = {}, canRepeat = true): ToPage {
  return {
    type: "run",
    canRepeat,
    run: {
      id: "r-1",
      kind: "map",
      label: "src/words.ts#wordCounts",
      cluster: "local",
      home: null,
      guests: [],
      env: "default",
      state: "done",
      createdAtMs: Date.UTC(2026, 10, 1, 12, 0, 0),
      endedAtMs: Date.UTC(2026, 10, 1, 12, 1, 4),
      total: 10_000,
      accepted: 10_000,
      done: 10_000,
      failed: 3,
      active: 0,
      replicas: 4,
      costUsd: 0,
      ratePerSecond: null,
      error: null,
      ...change,
    },
  };
}

export function connection(problem: (Omit<ConnectionProblem, "note"> & { note?: string }) | null): ToPage {
  return { type: "connection", run: "r-1", cluster: "local", problem: problem && { note: null, ...problem } };
}

export function node(key: string, kind: TreeNode["kind"], text: string, children = 0): TreeNode {
  return { key, kind, text, children };
}

export function row(index: number, change: Partial<ResultRow> = {}): ResultRow {
  return {
    index,
    state: "ok",
    attempts: 1,
    sizeBytes: 64,
    cells: [`https://example.test/${index}`, String(index * 3)],
    ...change,
  };
}

/** Answers questions about rows and trees as the extension of a map of `of` inputs does. */
export function answers(of: number, rowAt: (position: number) => ResultRow = row, columns = ["url", "words"]) {
  return (message: ToExtension): ToPage[] => {
    if (message.type === "getRows") {
      const { request, first, count } = message;
      const rows = Array.from({ length: Math.max(0, Math.min(count, of - first)) }, (_, i) => rowAt(first + i));
      return [{ type: "rows", request, of, columns, first, rows }];
    }
    if (message.type === "getTree") {
      const { request, path, first, count } = message;
      if (path.length === 0 && count === 0) {
        return [{ type: "tree", request, nodes: [tree[0]!], problem: null }];
      }
      if (path.length === 0) return [{ type: "tree", request, nodes: tree.slice(1), problem: null }];
      const nodes = Array.from({ length: count }, (_, i) => node(String(first + i), "number", String((first + i) * 7)));
      return [{ type: "tree", request, nodes, problem: null }];
    }
    return [];
  };
}

const tree: TreeNode[] = [
  node("", "object", "{ url, words, ok, at }", 5),
  node("url", "string", '"https://example.test/7"'),
  node("words", "array", "Array(250)", 250),
  node("ok", "boolean", "true"),
  node("missing", "undefined", "undefined"),
  node("at", "date", "2026-11-01T12:00:00.000Z"),
];

export function logLine(number: number, change: Partial<PanelLogLine> = {}): PanelLogLine {
  return {
    replica: number % 3,
    stream: "stdout",
    timeMs: Date.UTC(2026, 10, 1, 12, 0, 0) + number * 7,
    index: number,
    text: `line ${number} of the log`,
    ...change,
  };
}

export function logs(lines: PanelLogLine[], dropped = 0, reset = false): ToPage {
  return { type: "logs", reset, dropped, kept: { lines: 50_000, chars: 20_000_000 }, lines };
}

export const mixedLog: PanelLogLine[] = [
  ...Array.from({ length: 30 }, (_, i) => logLine(i)),
  logLine(30, { stream: "stderr", text: "\u001b[31mred warning\u001b[0m and \u001b[1mbold\u001b[22m words" }),
  logLine(31, {
    stream: "log",
    text: "\u001b[38;5;208mof the palette\u001b[0m, \u001b[38;2;10;200;30mtrue colour\u001b[0m",
  }),
  logLine(32, {
    replica: 7,
    text: "\u001b[4munderlined\u001b[24m \u001b[3mitalic\u001b[23m \u001b[32mgreen\u001b[39m",
  }),
];

/** Text on each of the sixteen backgrounds, in the text colour and in another. */
export const backgroundLog: PanelLogLine[] = [
  40, 41, 42, 43, 44, 45, 46, 47, 100, 101, 102, 103, 104, 105, 106, 107,
].map((code, i) =>
  logLine(33 + i, { text: `\u001b[${code}mplain \u001b[30mdark\u001b[97m light\u001b[32m green\u001b[0m` }),
);

export const failures: FailureGroup[] = [
  {
    id: "type",
    title: "TypeError: Cannot read properties of undefined (reading 'split')",
    count: 12,
    indices: [4, 17, 230],
    frames: [
      { name: "wordCounts", place: "src/words.ts:12:7", opens: true },
      { name: "", place: "node:internal/process/task_queues:95:5", opens: false },
    ],
    code: [
      { line: 11, text: "  const text = page.body;", marked: false },
      { line: 12, text: '  return text.split(" ").length;', marked: true },
      { line: 13, text: "}", marked: false },
    ],
    details: [{ kind: "cause", text: "Error: the page was empty" }],
  },
  { id: "range", title: "RangeError: too long", count: 1, indices: [9], frames: [], code: [], details: [] },
];

export const timeline: TimelineData = {
  startMs: Date.UTC(2026, 10, 1, 12, 0, 0),
  stepMs: 1_000,
  done: Array.from({ length: 64 }, (_, i) => Math.round(160 + 60 * Math.sin(i / 6))),
  failed: Array.from({ length: 64 }, (_, i) => (i % 20 === 5 ? 12 : 0)),
  active: Array.from({ length: 64 }, () => 4),
  replicas: [0, 1, 2, 3].map((id) => ({
    id,
    busy: Array.from({ length: 64 }, (_, i) => 0.5 + 0.5 * Math.sin(i / 5 + id)),
  })),
};

export const callForm: LaunchForm = {
  target: { mode: "call", path: "/home/me/src/summarise.ts", export: "summarise" },
  name: "summarise",
  file: "src/summarise.ts",
  signature: "summarise(url: string, limit?: number, mode: Mode, deep: boolean, options: Options): Promise<Summary>",
  doc: "Reads a page and says what is in it.",
  warning: "",
  parameters: [
    parameter("url", "string", { kind: "text", optional: false }, "The page to read."),
    parameter("limit", "number", { kind: "number", integer: true, optional: true }, "How many sentences at most."),
    parameter("mode", '"fast" | "exact"', { kind: "choice", values: ["fast", "exact"], optional: false }),
    parameter("deep", "boolean", { kind: "checkbox", optional: false }, "Whether links are followed."),
    parameter("options", "Options", { kind: "json", placeholder: '{"lang": "…"}', optional: true }),
  ],
  history: [
    ["https://example.test/a", "3", '"fast"', "true", ""],
    ["https://example.test/b", "", '"exact"', "false", '{"lang":"en"}'],
  ],
  envs: ["default", "browser"],
  env: "default",
  clusters: ["local", "lab"],
  cluster: "local",
  guests: [],
  map: { replicas: "", concurrency: "", retries: "", timeoutSeconds: "", onError: "collect" },
  source: { kind: "file", text: "" },
};

function parameter(
  name: string,
  type: string,
  field: LaunchForm["parameters"][number]["field"],
  doc = "",
): LaunchForm["parameters"][number] {
  return { name, type, doc, rest: false, default: "", field };
}

export const mapForm: LaunchForm = {
  ...callForm,
  target: { mode: "map", path: "/home/me/src/words.ts", export: "wordCounts" },
  name: "wordCounts",
  file: "src/words.ts",
  signature: "wordCounts(url: string): Promise<number>",
  doc: "Counts the words of a page.",
  clusters: ["local"],
};

export function clusterNode(number: number, change: Partial<ClusterNode> = {}): ClusterNode {
  return {
    number,
    host: `m${number}`,
    platform: "linux x64",
    cpus: 4,
    memoryMiB: 8_192,
    load: { cpuShare: 0.25, usedMiB: 2_048 },
    away: null,
    replicas: [
      { id: number * 2, pid: 4_000 + number, env: "default", bundle: "0123456789abcdef", active: 1, residentMiB: 64 },
      {
        id: number * 2 + 1,
        pid: 5_000 + number,
        env: "default",
        bundle: "0123456789abcdef",
        active: 0,
        residentMiB: 48,
      },
    ],
    ...change,
  };
}

export function cluster(change: Partial<ClusterView> = {}): ToPage {
  return {
    type: "cluster",
    cluster: {
      name: "lab",
      condition: "up",
      problem: "",
      usdPerHour: 0,
      sinceMs: Date.now() - 65_000,
      nodes: [clusterNode(1), clusterNode(2)],
      helps: [],
      helpedBy: [],
      warnings: [],
      offers: ["stop", "shutDown", "terminal", "log"],
      ...change,
    },
  };
}

export function metrics(node: number, samples = 120): ToPage {
  const at = Array.from({ length: samples }, (_, i) => i);
  return {
    type: "metrics",
    metrics: {
      node,
      stepMs: 5_000,
      cpuShares: at.map((i) => (1 + Math.sin(i / 9)) / 2.5),
      usedMiB: at.map((i) => 2_048 + i * 4),
    },
  };
}
