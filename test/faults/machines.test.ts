import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";
import { kinds, TestFleet } from "../support/fleet.ts";
import { Chance, itAtLength, share, slack } from "./chance.ts";
import { FaultyMap } from "./faultyMap.ts";
import { checkInvariants } from "./invariants.ts";

const leaseMs = 4_000;
const machine = { sshd: [`SetEnv FARCALL_LEASE_MS=${leaseMs}`] };
/** That and the lease is the longest that the loss of one machine may delay an input. */
const beyondLeaseMs = 10_000 * slack;
/** The most that may have to be worked again when a machine is lost. */
const rerunShare = 0.02 * slack;

describeInLab("machines that are lost while a map runs on four", (lab) => {
  const begin = async (inputs: number) => {
    const fleet = await TestFleet.up({ lab: lab(), nodes: 4, machine });
    return { fleet, map: await FaultyMap.begin(fleet, { inputs: inputs * share, replicas: 8 }) };
  };

  it("goes on without one, the one that the client talks to, with little delay and little worked twice", async () => {
    const { fleet, map } = await begin(60_000);
    await using _ = fleet;
    await map.reaches(0.1, 30_000);
    const lost = fleet.machines[0]!;
    await lost.kill();
    await map.read;
    expect(map.longestGapMs).toBeLessThan(leaseMs + beyondLeaseMs);
    // What it ran is still written on its disk.
    await lost.boot();
    const again = (await fleet.timesRun()) - map.inputs;
    process.stdout.write(`${again} of ${map.inputs} inputs were run again\n`);
    expect(again).toBeLessThan(rerunShare * map.inputs);
    await checkInvariants(fleet, map);
  });

  it("goes on without one that lost its power, the one that the client talks to, so that nobody is told", async () => {
    const { fleet, map } = await begin(60_000);
    await using _ = fleet;
    await map.reaches(0.1, 30_000);
    await fleet.machines[0]!.powerOff();
    await map.read;
    expect(map.longestGapMs).toBeLessThan(leaseMs + beyondLeaseMs);
    await checkInvariants(fleet, map);
  });

  itAtLength("goes on when half of them are lost, one without notice", async () => {
    const chance = new Chance("half of the machines");
    const { fleet, map } = await begin(60_000);
    await using _ = fleet;
    // Of the three seats two have to stay, so one of the two is the machine that is none.
    const [one, other] = chance.shuffled([chance.pick(fleet.machines.slice(0, 3)), fleet.machines[3]!]) as [
      Machine,
      Machine,
    ];
    await map.reaches(chance.between(0.05, 0.2), 30_000);
    await one.powerOff();
    await sleep(chance.between(1_000, 8_000));
    await other.kill();
    await checkInvariants(fleet, map);
  });

  it("rests while most of the seats are gone, and goes on when they are brought up again", async () => {
    const { fleet, map } = await begin(60_000);
    await using _ = fleet;
    await map.reaches(0.1, 30_000);
    const [first, second] = fleet.machines;
    await Promise.all([first!.kill(), second!.kill()]);
    await sleep(3_000);
    await Promise.all([first!.boot(), second!.boot()]);
    const up = await fleet.bringUp();
    expect(up.stderr).toMatch(/lab is up: 4 nodes/);
    await checkInvariants(fleet, map);
  });

  it("goes on whatever is killed at random, the machine that the client talks to among it", async () => {
    const chance = new Chance("anything");
    const { fleet, map } = await begin(200_000);
    await using _ = fleet;
    const untilMs = performance.now() + 30_000 * share;
    let kills = 0;
    let lost: Machine | undefined;
    while (map.progress < 0.8 && !map.isRead && performance.now() < untilMs) {
      const victim = chance.pick(fleet.machines);
      const kind = chance.pick(["worker", "agent", "broker", "machine"] as const);
      if (kind === "machine" && kills > 1 && !lost) {
        lost = kills % 2 === 0 ? victim : fleet.machines[0]!;
        await (chance.next() < 0.5 ? lost.kill() : lost.powerOff());
        kills++;
      } else if (kind !== "machine" && !(kind === "broker" && lost)) {
        // With a seat away the other two are needed.
        kills += Number(victim.signal(kinds[kind], "SIGKILL") > 0);
      }
      await sleep(chance.between(300, 1_500));
    }
    expect(kills).toBeGreaterThan(2);
    await checkInvariants(fleet, map, { endsWithinMs: 180_000 });
  });

  itAtLength("takes a machine back that was cut off for a minute, late results and all", async () => {
    const chance = new Chance("partition");
    const { fleet, map } = await begin(60_000);
    await using _ = fleet;
    await map.reaches(0.1, 30_000);
    const cut = chance.pick(fleet.machines);
    await cut.partition();
    await sleep(60_000);
    await cut.heal();
    await checkInvariants(fleet, map);
  });
});
