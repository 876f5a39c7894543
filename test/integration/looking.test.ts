import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { brokeOff } from "../../runtime/client/session.ts";
import { isAlive, TestHome, until } from "../support/home.ts";
import { NewerAgent } from "../support/newerAgent.ts";

/** Clients that only look: they start nothing, and they keep nothing from ending. */

let home: TestHome;
let file: string;

beforeEach(async () => {
  home = await TestHome.create();
  file = await home.write(
    "f.ts",
    "export const slow = (x: number) => new Promise((r) => setTimeout(r, 50, x)); export const one = () => 1;",
  );
});
afterEach(() => home[Symbol.asyncDispose]());

async function ranMap(inputs: number): Promise<string> {
  const module = await home.cluster().openModule(file);
  const run = module.map(
    "slow",
    Array.from({ length: inputs }, (_, i) => i),
  );
  await run.accepted;
  return run.id;
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe("a run that is opened to be looked at", () => {
  test("starts no cluster, neither when it is opened nor when it is asked later", async () => {
    const id = await ranMap(3);
    const looker = home.cluster();
    const run = await looker.runs.open(id, { start: false });
    for await (const batch of run.batches()) expect(batch.length).toBeGreaterThan(0);
    await looker.down({ force: true });
    for (const asked of [run.timeline(), run.pick([0]), run.result(), looker.runs.open(id, { start: false })])
      expect(await failureOf(asked)).toMatchObject({ code: "agent.unreachable" });
    expect(await failureOf(run.watch().next())).toMatchObject({ code: "agent.unreachable" });
    expect(home.agentPid()).toBeUndefined();
    // Only whoever wants it to be there starts it.
    expect((await looker.runs.open(id)).record).toMatchObject({ id, state: "done" });
    expect((await run.timeline()).stepMs).toBeGreaterThan(0);
  });

  test("is told apart whether its agent ended or was killed", async () => {
    const looker = home.cluster();
    for (const end of ["down", "kill"]) {
      const run = await looker.runs.open(await ranMap(200), { start: false });
      const lost = failureOf(
        (async () => {
          for await (const record of run.watch()) if (record.state === "cancelled") return;
        })(),
      );
      if (end === "kill") process.kill(home.agentPid()!, "SIGKILL");
      else await home.cluster().down({ force: true });
      expect(brokeOff(await lost), end).toBe(end === "kill");
      await until(
        () => home.agentPid(),
        (pid) => pid === undefined,
      );
    }
  });
});

describe("an agent", () => {
  test("ends when it is idle, though somebody is connected and follows what changes", async () => {
    process.env["FARCALL_IDLE_MS"] = "500";
    const client = home.cluster();
    delete process.env["FARCALL_IDLE_MS"];
    const module = await client.openModule(file);
    expect(await module.call("one", [])).toBe(1);
    const agent = home.agentPid()!;
    const stop = new AbortController();
    const following = (async () => {
      while (isAlive(agent)) {
        for await (const change of client.changes({ signal: stop.signal, start: false })) {
          if (change.replicas < 0) break;
          await client.status();
        }
      }
    })().catch(() => undefined);
    await until(
      () => isAlive(agent),
      (alive) => !alive,
    );
    stop.abort();
    await following;
    // What is asked next begins a new one.
    expect(await module.call("one", [])).toBe(1);
  });

  test("stays while a call is under way, however long nothing else is asked", async () => {
    process.env["FARCALL_IDLE_MS"] = "200";
    const client = home.cluster();
    delete process.env["FARCALL_IDLE_MS"];
    await home.write("long.ts", "export const long = () => new Promise((r) => setTimeout(r, 1500, 2));");
    const module = await client.openModule(join(home.project, "long.ts"));
    expect(await module.call("long", [])).toBe(2);
  });

  test("of a later version is ended by force, and by nothing less", async () => {
    await using newer = await NewerAgent.start(join(home.path, "local"));
    const cluster = home.cluster();
    expect(await failureOf(cluster.status())).toMatchObject({ code: "agent.version" });
    expect(await failureOf(cluster.down())).toMatchObject({ code: "agent.version" });
    expect(newer.process.signalCode).toBeNull();
    expect(await cluster.down({ force: true })).toMatchObject({ wasUp: true });
    await until(
      () => newer.process.signalCode,
      (signal) => signal === "SIGTERM",
    );
    await until(
      () => cluster.status().catch(() => null),
      (status) => status === undefined,
    );
  });
});
