import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { Connections } from "../../runtime/cluster/connections.ts";
import { readAddress } from "../../runtime/cluster/bootstrap/setup.ts";
import { agentMethods } from "../../runtime/protocol/messages/agent.ts";
import { protocolVersion } from "../../runtime/protocol/messages/session.ts";
import { Peer } from "../../runtime/protocol/rpc.ts";
import { dialWebSocket } from "../../runtime/transport/websocket.ts";
import { describeInLab } from "../lab/describeInLab.ts";
import { kinds, TestFleet } from "../support/fleet.ts";
import { until } from "../support/home.ts";
import { otherBuild, otherProtocol } from "../support/otherBuild.ts";

/** Clients of two builds of Farcall that use the same cluster. */
describeInLab("a cluster that is used by two builds", (lab) => {
  it("goes over to the one that brings it up, also with a single machine", async () => {
    await using other = await otherBuild();
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 1 });
    const build = async () => /\(([0-9a-f]{12})\), pid/.exec((await fleet.cli(["status", "lab"])).stdout)?.[1];
    const before = await build();
    const up = await fleet.cli(["up", "lab"], { build: other.folder });
    expect(up.stderr).toMatch(/sending the agent\nlab is up: 1 node/);
    expect(await build()).not.toBe(before);
    expect(await build()).toMatch(/^[0-9a-f]{12}$/);
    expect(fleet.machines[0]!.processes().filter(({ command }) => kinds.agent.test(command))).toHaveLength(1);
  });

  it("is of one build when it is idle, and is used as it is while it is busy", async () => {
    await using other = await otherBuild();
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 3 });
    const builds = async () => {
      const addresses = fleet.machines.map((each) => each.do(`cat ${each.home}/.farcall-node/*/agent.address`));
      return (await Promise.all(addresses)).map((text) => (JSON.parse(text) as { build: string }).build);
    };
    const by = (build: string | undefined, args: readonly string[], input = "") =>
      fleet.cli(args, { input, timeoutMs: 120_000, ...(build === undefined ? {} : { build }) });
    const mine = await builds();
    expect(new Set(mine).size).toBe(1);

    // Who looks changes nothing.
    expect(await by(other.folder, ["status", "lab"])).toMatchObject({ status: 0 });
    expect(await builds()).toEqual(mine);
    expect(await by(other.folder, ["up", "lab"])).toMatchObject({ status: 0 });
    // A node that another one has just heard to be used goes over when it has rested.
    const isOfOne = (found: string[]) => new Set(found).size === 1 && found[0] !== mine[0];
    const theirs = await until(builds, isOfOne, 40_000);

    // Busy: everything goes on on the agents there are, whatever is put beside them.
    const env = ["--env", '{"replicas":3}'];
    const inputs = Array(3_000).fill(500).join("\n");
    const began = await by(
      other.folder,
      ["map", "--on", "lab", ...env, "functions.ts#where", "--input", "-", "--detach"],
      inputs,
    );
    const id = began.stdout.trim();
    expect(await by(undefined, ["up", "lab"])).toMatchObject({ status: 0 });
    expect(JSON.parse((await by(undefined, ["run", "--on", "lab", "functions.ts#square", "[4]"])).stdout)).toBe(16);
    expect(await builds()).toEqual(theirs);
    expect(await by(undefined, ["cancel", "--on", "lab", id])).toMatchObject({ status: 0 });
    // Nobody asks for it: those that have rested go over to what was put there.
    await until(builds, (found) => String(found) === String(mine), 40_000);

    // A client that just uses an idle cluster has it come up as its own build.
    const used = await by(other.folder, ["run", "--on", "lab", "functions.ts#square", "[5]"]);
    expect([used.stdout, used.stderr]).toEqual(["25\n", expect.not.stringMatching(/error/)]);
    expect(await builds()).toEqual(theirs);
  }, 240_000);

  it("has what the present build lets its nodes hear, though an earlier one began it", async () => {
    const told = '"$JS.EVENT.ADVISORY.*.LEADER_ELECTED.>"';
    // Between the subject of a node's answers and what else it may hear.
    await using earlier = await otherBuild((text) => text.replace(/(\.>`,)"\$JS\.EVENT\.ADVISORY[^"]*",/, "$1"));
    await using fleet = await TestFleet.prepare({ lab: lab(), nodes: 2 });
    const hosts = fleet.machines.flatMap(({ name }) => ["--host", name]);
    expect(await fleet.cli(["up", "lab", ...hosts], { build: earlier.folder, timeoutMs: 120_000 })).toMatchObject({
      status: 0,
    });
    const [head] = fleet.machines;
    const config = () => head!.do(`cat ${head!.home}/.farcall-node/*/broker/nats.conf`);
    expect(await config()).not.toContain(told);
    const brokers = () => head!.processes().filter(({ command }) => kinds.broker.test(command));
    const [before] = brokers();
    expect(await fleet.bringUp()).toMatchObject({ status: 0 });
    await until(config, (text) => text.includes(told), 40_000);
    expect(brokers().map(({ pid }) => pid)).toEqual([before!.pid]);
  }, 240_000);

  it("says what to do where they do not speak the same protocol, and does as it said", async () => {
    await using other = await otherBuild(otherProtocol);
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 2 });
    const theirs = (...args: string[]) => fleet.cli(args, { build: other.folder, timeoutMs: 120_000 });
    const inputs = Array(2_000).fill(500).join("\n");
    const map = ["map", "--on", "lab", "functions.ts#where", "--input", "-", "--detach"];
    const id = (await fleet.cli(map, { input: inputs })).stdout.trim();
    for (const command of ["status", "up", "stop"]) {
      const { status, stderr } = await theirs(command, "lab");
      expect([command, status]).toEqual([command, 2]);
      expect(stderr).toMatch(/error agent\.version: .* runs? (?:is|are) active/);
      expect(stderr).toMatch(/`farcall up lab` .* `farcall stop lab --force`/);
    }
    expect(await theirs("stop", "lab", "--force")).toMatchObject({ status: 0, stderr: "lab is stopped.\n" });
    expect(fleet.farcallProcesses()).toEqual([]);
    // The map goes on with whoever comes next.
    expect(await theirs("up", "lab")).toMatchObject({ status: 0 });
    expect((await theirs("runs", "--on", "lab")).stdout).toMatch(new RegExp(`${id}.*running`));
    expect(await theirs("cancel", "--on", "lab", id)).toMatchObject({ status: 0 });
    await until(
      () => fleet.cli(["up", "lab"], { timeoutMs: 60_000 }),
      ({ status }) => status === 0,
      60_000,
    );
  }, 240_000);

  it("makes room with all of its nodes or with none, whichever is asked", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 2 });
    const { id } = (
      JSON.parse(await readFile(join(fleet.home.path, "clusters/lab.json"), "utf8")) as {
        record: { id: string };
      }
    ).record;
    const cluster = fleet.open();
    const { nodes } = (await cluster.upIfNot().then(() => cluster.status()))!;
    const used = nodes.find(({ clients }) => clients > 0)!.number;
    await using connections = new Connections(fleet.home.path, undefined);
    const connection = await connections.to(fleet.machines[2 - used]!.name);
    const { socket, token } = (await readAddress(connection, id))!;
    const stream = await connection.dialSocket(socket);
    const transport = await dialWebSocket(() => stream);
    const peer = new Peer(transport, agentMethods, { methods: {}, handlers: {}, keepAlive: true });
    await peer.request("hello", { protocol: protocolVersion, token, version: "9", build: "another" });
    const asked = async () => (await peer.request("retire", {})).value;
    // Nodes tell each other every two seconds; nobody but this client uses the one that is asked.
    await sleep(3_000);
    expect(await asked()).toEqual({ retiring: false, why: `the node ${used} is used` });
    cluster.close();
    expect(await until(asked, ({ retiring }) => retiring, 15_000)).toEqual({ retiring: true });
    const agents = () =>
      fleet.machines.flatMap((each) => each.processes().filter(({ command }) => kinds.agent.test(command)));
    await until(agents, (found) => found.length === 0, 20_000);
  });
});
