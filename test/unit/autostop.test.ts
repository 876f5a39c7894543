import { expect, it } from "vitest";
import { type Autostop, autostopOf, withHeard, withSaid } from "../../runtime/cluster/autostop.ts";
import type { Machine } from "../../runtime/cluster/machines.ts";
import { clusterRecord } from "../support/clusterRecord.ts";

/** Which of what clients said of a cluster's autostop counts. */
const spec = { name: "lab" };
const machines = (...told: (Autostop | undefined)[]) =>
  told.map((autostop) => ({ probe: { autostop } }) as unknown as Machine);
const record = (ms: number, saidAtMs?: number) =>
  clusterRecord({
    spec: { name: "lab", hosts: ["a", "b"], autostopMs: ms },
    ...(saidAtMs === undefined ? {} : { autostopSaidAtMs: saidAtMs }),
  });
const heard = (mine: ReturnType<typeof record>, ...told: (Autostop | undefined)[]) =>
  autostopOf(withHeard(mine, spec, machines(...told)));

it("is what was said last, here or to any node", () => {
  const [early, late] = [
    { ms: 5, saidAtMs: 10 },
    { ms: 0, saidAtMs: 20 },
  ];
  expect(heard(record(7, 15), early, undefined, late)).toEqual(late);
  expect(heard(record(7, 15), early)).toEqual({ ms: 7, saidAtMs: 15 });
  expect(heard(record(7))).toEqual({ ms: 7, saidAtMs: 0 });
  // Nobody said anything, or nobody noted when: nodes have what holds.
  expect(heard(record(7), { ms: 5, saidAtMs: 0 })).toEqual({ ms: 5, saidAtMs: 0 });
});

it("is what was asked for just now, whatever the clocks of others", () => {
  const asked = { ...spec, autostopMs: 9_000 };
  const mine = withSaid(record(7), asked);
  expect(Date.now() - mine.autostopSaidAtMs!).toBeLessThan(60_000);
  const ahead = Date.now() + 1e9;
  const after = autostopOf(withHeard(mine, asked, machines({ ms: 5, saidAtMs: ahead })));
  expect(after).toEqual({ ms: 9_000, saidAtMs: ahead + 1 });
  expect(withSaid(record(7), { ...spec, autostopMs: null }).spec.autostopMs).toBeNull();
  expect(withSaid(record(7), spec)).toEqual(record(7));
});
