import { afterAll, beforeAll, expect, it } from "vitest";
import type { Cluster } from "farcall";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";
import { TestFleet } from "../support/fleet.ts";
import { until } from "../support/home.ts";

/** What an editor shows of single nodes of a cluster, and how it gets to them. */
describeInLab("the nodes of a cluster", (lab) => {
  let fleet: TestFleet;
  let machines: readonly Machine[];
  let cluster: Cluster;

  beforeAll(async () => {
    fleet = await TestFleet.up({ lab: lab(), nodes: 2 });
    ({ machines } = fleet);
    cluster = fleet.open();
  }, 120_000);
  afterAll(async () => fleet?.[Symbol.asyncDispose]());

  it("tell each how busy it has been, whichever is asked", async () => {
    const status = await until(
      () => cluster.status(),
      (found) => found?.nodes.length === 2,
    );
    expect(status!.nodes.map(({ name }) => name).sort()).toEqual(machines.map(({ name }) => name).sort());
    for (const node of [1, 2]) {
      const metrics = await until(
        () => cluster.metrics(node),
        (found) => (found?.cpuShares.length ?? 0) > 0,
        20_000,
      );
      expect(metrics!.stepMs).toBe(5_000);
      expect(metrics!.usedMiB).toHaveLength(metrics!.cpuShares.length);
      expect(metrics!.usedMiB.at(-1)).toBeGreaterThan(0);
    }
    const [one, two] = await Promise.all([cluster.metrics(1), cluster.metrics(2)]);
    // Agents that started at different moments take their samples at different moments.
    expect(one!.endMs).not.toBe(two!.endMs);
  });

  it("give their logs and a shell over the connection there is", async () => {
    // An agent to which nothing happens writes nothing.
    for (const machine of machines)
      await machine.do(`echo "of ${machine.name}" | tee -a ${machine.home}/.farcall-node/*/agent.log`, {
        as: machine.user,
      });
    expect(await cluster.agentLog(2)).toMatch(new RegExp(`^of ${machines[1]!.name}$`, "m"));
    const shell = await cluster.shell(2, { term: "xterm", columns: 80, rows: 24 });
    let printed = "";
    shell.stream.on("data", (data: Buffer) => (printed += data.toString("utf8")));
    shell.stream.write("echo I am on $(hostname); exit 7\n");
    expect(await shell.ended).toBe(7);
    expect(printed).toContain(`I am on ${machines[1]!.name}`);
    await expect(cluster.shell(3, { term: "xterm", columns: 80, rows: 24 })).rejects.toMatchObject({ code: "usage" });
  });

  it("tell nothing, and are not started, where the cluster is stopped; the log can still be read", async () => {
    await cluster.stop();
    expect(await cluster.metrics(1)).toBeUndefined();
    expect(await cluster.agentLog(1)).toMatch(new RegExp(`^of ${machines[0]!.name}$`, "m"));
    expect(machines[0]!.processes().filter(({ command }) => command.includes("agent.js"))).toEqual([]);
  });

  it("start with the server of the queue that they have, where no other is to be had", async () => {
    const seat = machines[0]!;
    const program = process.env["FARCALL_NATS_SERVER"]!;
    delete process.env["FARCALL_NATS_SERVER"];
    process.env["FARCALL_NATS_MIRROR"] = "http://127.0.0.1:9";
    const server = `$(echo ${seat.home}/.farcall-node/*/broker/server)`;
    try {
      await cluster.stop();
      await seat.do(`echo 000000000000 > ${server}`);
      const lines: string[] = [];
      await cluster.up({ onProgress: (line) => void lines.push(line) });
      expect(lines.join("\n")).toMatch(
        /^keeping the server of the queue that is there: nats-server .* could not be fetched/m,
      );
      expect((await cluster.status())!.nodes.length).toBeGreaterThan(0);
      // The one that this client would bring is not even looked for.
      const pinned = { x64: "61c3d55f69f6", arm64: "3ff6e463762d" }[process.arch as "x64" | "arm64"];
      await seat.do(`echo ${pinned} > ${server}`);
      lines.length = 0;
      await cluster.up({ onProgress: (line) => void lines.push(line) });
      expect(lines).toEqual([]);
    } finally {
      process.env["FARCALL_NATS_SERVER"] = program;
      delete process.env["FARCALL_NATS_MIRROR"];
    }
  });
});
