import { describe, expect, it } from "vitest";
import { Absences } from "../../extension/clusters/absences.ts";
import { conditionOf, isWorthLooking, type Known, offersOf, pauseAfter } from "../../extension/clusters/condition.ts";
import { chosenHosts, typedHosts } from "../../extension/clusters/hosts.ts";
import { nodesOf } from "../../extension/clusters/nodes.ts";
import { clusterView } from "../../extension/panels/clusterView.ts";
import type { ClusterRecord } from "../../runtime/cluster/registry.ts";
import type { Absence, AgentStatus, Cluster, NodeStatus } from "../../runtime/index.ts";
import { clusterRecord } from "../support/clusterRecord.ts";

/** How clusters are shown in the editor, out of what is known of them. */

function record(change: Partial<ClusterRecord> = {}): ClusterRecord {
  const node = {
    home: "/home/me",
    nodePath: "/usr/bin/node",
    platform: "linux x64",
    cpus: 4,
    memoryMiB: 8_000,
    build: "b",
  };
  return clusterRecord({
    spec: { name: "lab", hosts: ["me@a", "me@b"], autostopMs: 600_000 },
    state: "up",
    nodes: [
      { ...node, number: 1, host: "me@a", address: "10.0.0.1" },
      { ...node, number: 2, host: "me@b", address: "10.0.0.2" },
    ],
    seats: [1],
    ports: { client: 1, cluster: 2 },
    sinceMs: 5,
    ...change,
  });
}

function nodeStatus(number: number): NodeStatus {
  return {
    number,
    name: `host${number}`,
    platform: "linux x64",
    cpus: 8,
    memoryMiB: 16_000,
    gpus: 0,
    cpuShare: 0.5,
    usedMiB: 4_000,
    startedAtMs: 7,
    residentMiB: 80,
    clients: 1,
    activeRuns: 0,
    isBusy: false,
    replicas: [{ id: 3, pid: 9, env: "default", bundle: "abc", state: "ready", active: 0, residentMiB: 50 }],
    maps: [],
  };
}

function status(...numbers: number[]): AgentStatus {
  return {
    pid: 1,
    version: "1",
    build: "b",
    nodeVersion: "24",
    startedAtMs: 7,
    idleTimeoutMs: 600_000,
    clients: 1,
    activeRuns: 0,
    residentMiB: 80,
    replicas: [],
    nodes: numbers.map(nodeStatus),
    warnings: ["hot"],
  };
}

const known = (change: Partial<Known> = {}): Known => ({
  name: "lab",
  status: undefined,
  record: record(),
  error: undefined,
  wasLooked: true,
  ...change,
});

describe("how a cluster is", () => {
  it("is what was found, where its record says that there is something to find", () => {
    expect(conditionOf(known({ status: status(1) }))).toBe("up");
    expect(conditionOf(known())).toBe("idle");
    expect(conditionOf(known({ wasLooked: false }))).toBe("unknown");
    expect(conditionOf(known({ error: "no route" }))).toBe("unreachable");
    expect(conditionOf(known({ record: undefined, error: "damaged" }))).toBe("broken");
  });

  it("is what its record says while it comes, goes, or is stopped", () => {
    for (const state of ["launching", "stopped", "ending"] as const) {
      expect(conditionOf(known({ record: record({ state }), error: "no route" }))).toBe(state);
      expect(isWorthLooking("lab", record({ state }))).toBe(false);
    }
    expect(conditionOf(known({ record: record({ state: "ending" }), status: status(1) }))).toBe("ending");
    expect(isWorthLooking("lab", record())).toBe(true);
    expect(isWorthLooking("local", undefined)).toBe(true);
  });

  it("decides what is offered", () => {
    expect(offersOf("lab", "up")).toEqual(["ssh", "stoppable", "removable"]);
    expect(offersOf("lab", "stopped")).toEqual(["ssh", "startable", "removable"]);
    expect(offersOf("lab", "unreachable")).toEqual(["ssh", "startable", "stoppable", "removable"]);
    expect(offersOf("lab", "ending")).toEqual(["ssh", "removable"]);
    expect(offersOf("local", "idle")).toEqual(["local", "startable"]);
    expect(offersOf("local", "up")).toEqual(["local", "removable"]);
  });

  it("is asked for less often the less an answer is to be expected", () => {
    const pauses = ["local", "lab"].map((name) => pauseAfter(name, undefined));
    pauses.push(pauseAfter("lab", "ssh.timeout"), pauseAfter("lab", "ssh.auth"));
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
    expect(pauseAfter("lab", "ssh.host-key-unknown")).toBe(pauseAfter("lab", "ssh.auth"));
    expect(new Set(pauses).size).toBe(4);
  });
});

describe("the nodes of a cluster", () => {
  it("are those of the record, with what they say of themselves, and those that are missing", () => {
    const nodes = nodesOf({ record: record(), status: status(2) });
    expect(nodes.map(({ number, host, cpus }) => [number, host, cpus])).toEqual([
      [1, "me@a", 4],
      [2, "me@b", 8],
    ]);
    expect(nodes.map(({ status: found }) => found?.name)).toEqual([undefined, "host2"]);
  });

  it("are those that are heard where there is no record", () => {
    expect(nodesOf({ record: undefined, status: status(1) }).map(({ host }) => host)).toEqual(["host1"]);
    expect(nodesOf({ record: undefined, status: undefined })).toEqual([]);
  });

  it("stand in the panel with their load and their replicas", () => {
    const shown = clusterView({ ...known({ status: status(2) }), absences: [], runs: [], envs: [], usdPerHour: 0 });
    expect(shown).toMatchObject({ condition: "up", problem: "", sinceMs: 7, warnings: ["hot"] });
    expect(shown.offers).toEqual(["stop", "shutDown", "terminal", "log"]);
    expect(shown.nodes.map(({ load, replicas }) => [load, replicas.length])).toEqual([
      [null, 0],
      [{ cpuShare: 0.5, usedMiB: 4_000 }, 1],
    ]);
    const away = clusterView({ ...known({ error: "no route" }), absences: [], runs: [], envs: [], usdPerHour: 0 });
    expect(away).toMatchObject({ condition: "unreachable", problem: "no route", sinceMs: 5 });
    expect(away.offers).toEqual(["start", "stop", "shutDown", "terminal", "log"]);
  });
});

describe("nodes that are not heard of", () => {
  const uncarried = { number: 1, why: "uncarried", problem: "" } as const;

  it("say why, once that is known", () => {
    const away = (absences: Absence[]) =>
      nodesOf({ record: record(), status: status(2), absences }).map((node) => node.away);
    expect(away([])).toEqual([undefined, undefined]);
    // What was said of a node that is heard again is over.
    expect(away([uncarried, { ...uncarried, number: 2 }])).toEqual(["uncarried", undefined]);
  });

  it("are asked about once, and again when they are others or after a pause", async () => {
    const asked: number[][] = [];
    const found: Absence[][] = [];
    const cluster = {
      name: "lab",
      absences: ({ nodes }: AgentStatus) => {
        asked.push(nodes.map(({ number }) => number));
        return Promise.resolve([{ ...uncarried, code: "ssh.auth" }]);
      },
    } as unknown as Cluster;
    const absences = new Absences((all) => found.push(all));
    const look = async (...heard: number[]) => {
      absences.look(cluster, status(...heard), [1, 2, 3]);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await look(2, 3);
    await look(2, 3);
    expect([asked, found.length]).toEqual([[[2, 3]], 1]);
    await look(3);
    expect(asked).toEqual([[2, 3], [3]]);
    await look(1, 2, 3);
    await look(1, 2, 3);
    expect([asked.length, found.slice(2)]).toEqual([2, [[]]]);
  });
});

describe("hosts", () => {
  it("are typed with spaces or commas between them", () => {
    expect(typedHosts(" me@a, me@b:2222  c,c ")).toEqual(["me@a", "me@b:2222", "c"]);
    expect(typedHosts("  ")).toEqual([]);
  });

  it("are those that were picked; what was typed counts only where nothing was", () => {
    expect(chosenHosts(["m1", "m2"], "m")).toEqual(["m1", "m2"]);
    expect(chosenHosts([], "me@a me@b")).toEqual(["me@a", "me@b"]);
  });
});
