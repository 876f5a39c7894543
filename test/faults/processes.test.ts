import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import { kinds, TestFleet } from "../support/fleet.ts";
import { until } from "../support/home.ts";
import { Chance, itAtLength, share } from "./chance.ts";
import { FaultyMap } from "./faultyMap.ts";
import { checkInvariants } from "./invariants.ts";

/** Short, so that what a dead agent held comes back while the test looks. */
const machine = { sshd: ["SetEnv FARCALL_LEASE_MS=4000"] };

describeInLab("processes that are killed while a map runs on three machines", (lab) => {
  for (const kind of ["worker", "agent", "broker"] as const) {
    // Workers die more often than the others.
    (kind === "worker" ? it : itAtLength)(`goes on when a ${kind} is killed every second or so`, async () => {
      const chance = new Chance(`kill ${kind}`);
      await using fleet = await TestFleet.up({ lab: lab(), nodes: 3, machine });
      const map = await FaultyMap.begin(fleet, { inputs: 60_000 * share, replicas: 6 });
      let kills = 0;
      const untilMs = performance.now() + 20_000 * share;
      while (map.progress < 0.8 && !map.isRead && performance.now() < untilMs) {
        kills += chance.pick(fleet.machines).signal(kinds[kind], "SIGKILL") > 0 ? 1 : 0;
        await sleep(chance.between(500, 1_500));
      }
      expect(kills).toBeGreaterThan(2);
      await checkInvariants(fleet, map);
    });
  }

  it("goes on when one of the machines lets no worker live", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 3, machine });
    const map = await FaultyMap.begin(fleet, { inputs: 60_000 * share, replicas: 6 });
    const broken = new Chance("no workers").pick(fleet.machines);
    const killing = setInterval(() => broken.signal(kinds.worker, "SIGKILL"), 50);
    try {
      await map.reaches(0.9, 60_000);
    } finally {
      clearInterval(killing);
    }
    await checkInvariants(fleet, map);
  });

  itAtLength("has all its agents again when all of them were killed", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 3, machine });
    const map = await FaultyMap.begin(fleet, { inputs: 30_000, replicas: 6 });
    for (const each of fleet.machines) expect(each.signal(kinds.agent, "SIGKILL")).toBe(1);
    await until(
      () =>
        fleet
          .open()
          .status()
          .catch(() => undefined),
      (status) => status?.nodes.length === 3,
      30_000,
    );
    await checkInvariants(fleet, map);
  });

  it("takes no second outcome from an agent that slept past its lease", async () => {
    await using fleet = await TestFleet.up({ lab: lab(), nodes: 3, machine });
    const map = await FaultyMap.begin(fleet, { inputs: 30_000, replicas: 6 });
    const chance = new Chance("sleeping agent");
    // Not the one that the reader is connected to: that it would only leave after its silence was noticed.
    const asleep = chance.pick(fleet.machines.slice(1));
    expect(asleep.freeze(kinds.agent)).toBe(1);
    await sleep(10_000);
    expect(asleep.thaw(kinds.agent)).toBe(1);
    await checkInvariants(fleet, map);
  });
});
