import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { Cluster } from "farcall";
import { describeInLab } from "../lab/describeInLab.ts";
import { natsServerProgram } from "../support/natsProgram.ts";
import { TestHome } from "../support/home.ts";

/** Replicas and the GPUs they have. The devices are made up: what a worker gets to see of them is not. */
type Seen = [devices: string | undefined, pid: number, host: string];
const source = (more = "") => `
  import { hostname } from "node:os";
  import { setTimeout as sleep } from "node:timers/promises";
  export async function seen(ms: number) {
    await sleep(ms);
    return [process.env.CUDA_VISIBLE_DEVICES, process.pid, hostname()];
  }
  ${more}`;
const times = (count: number) => Array.from({ length: count }, () => 40);
/** The devices of each process. */
const byProcess = (seen: Seen[]) => new Map(seen.map(([devices, pid]) => [pid, devices]));
const sorted = (devices: Map<number, string | undefined>) => [...devices.values()].map(String).sort();

describe("replicas on a machine with two GPUs", () => {
  let home: TestHome;
  let local: Cluster;
  beforeAll(async () => {
    process.env["FARCALL_GPUS"] = "a,b";
    home = await TestHome.create();
    local = home.cluster();
  });
  afterAll(async () => {
    await home[Symbol.asyncDispose]();
    delete process.env["FARCALL_GPUS"];
  });
  const map = async (env: object, text = source()): Promise<Seen[]> => {
    const module = await local.openModule(await home.write("f.ts", text), { env });
    return module.map<Seen>("seen", times(60)).toArray();
  };

  test("have one each, and no more replicas than GPUs", async () => {
    const seen = byProcess(await map({ name: "whole", replicas: 8, compute: { gpus: 1 } }));
    expect(sorted(seen)).toEqual(["a", "b"]);
  });

  test("share them where they ask for half of one", async () => {
    const seen = byProcess(await map({ name: "half", replicas: 8, compute: { gpus: 0.5 } }));
    expect(sorted(seen)).toEqual(["a", "a", "b", "b"]);
  });

  test("have both where they ask for two, which earlier code gives free", async () => {
    const env = { name: "both", compute: { gpus: 2 } };
    const first = byProcess(await map(env));
    expect([...first.values()].map((devices) => devices!.split(",").sort())).toEqual([["a", "b"]]);
    const second = byProcess(await map(env, source("export const edited = 1;")));
    expect([...second.values()].map((devices) => devices!.split(",").sort())).toEqual([["a", "b"]]);
    expect([...second.keys()]).not.toEqual([...first.keys()]);
  });

  test("are told of none where they ask for none, and are refused more than there are", async () => {
    expect(new Set(byProcess(await map({ name: "none", replicas: 2 })).values())).toEqual(new Set([undefined]));
    const message = expect.stringMatching(/has what a replica of the env many needs: 3 GPUs/) as string;
    await expect(map({ name: "many", compute: { gpus: 3 } })).rejects.toMatchObject({ code: "spec.invalid", message });
  });
});

describeInLab("replicas on two machines, one of which has GPUs", (lab) => {
  let home: TestHome;
  let cluster: Cluster;
  beforeAll(async () => {
    process.env["FARCALL_SSH_CONFIG"] = lab().sshConfigFile;
    process.env["FARCALL_NATS_SERVER"] = await natsServerProgram();
    home = await TestHome.create();
    const [plain] = await lab().machines(1);
    const [equipped] = await lab().machines(1, { sshd: ["SetEnv FARCALL_GPUS=a,b"] });
    const hosts = [plain!.name, equipped!.name];
    cluster = new Cluster({ name: "lab", hosts }, { home: home.path, logs: "ignore" });
    await cluster.up();
  }, 120_000);
  afterAll(async () => {
    await cluster?.down({ force: true });
    await cluster?.[Symbol.asyncDispose]();
    await home?.[Symbol.asyncDispose]();
    delete process.env["FARCALL_SSH_CONFIG"];
    delete process.env["FARCALL_NATS_SERVER"];
  });

  it("are on that one alone, which is also where the code is first imported", async () => {
    const needy = source(`if (!process.env.CUDA_VISIBLE_DEVICES) throw new Error("no GPU here");`);
    const file = await home.write("needy.ts", needy);
    const { seen } = await cluster.import<{ seen(ms: number): Promise<Seen> }>(file, {
      env: { name: "needy", compute: { gpus: 1 } },
    });
    const all = await seen.map(times(60)).toArray();
    expect(sorted(byProcess(all))).toEqual(["a", "b"]);
    expect(new Set(all.map(([, , host]) => host))).toEqual(new Set(["m2"]));
    expect((await seen(1))[2]).toBe("m2");
    const refused = cluster.import(file, { env: { name: "far", compute: { gpus: 1, node: 1 } } });
    await expect(refused).rejects.toMatchObject({ code: "spec.invalid" });
  });
});
