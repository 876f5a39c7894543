import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import { outcomeOf, TestHome, until } from "../support/home.ts";
import { natsServerProgram } from "../support/natsProgram.ts";
import { roadsTo } from "../support/throughProxy.ts";

/** A client of several nodes, which comes back to another one than it left. */
describeInLab("a client of three nodes", (lab) => {
  it("has every outcome and every line of all nodes once, whichever node it comes back to", async () => {
    const machines = await lab().machines(3);
    await using home = await TestHome.create();
    const env = { FARCALL_SSH_CONFIG: lab().sshConfigFile, FARCALL_NATS_SERVER: await natsServerProgram() };
    await home.write(
      "slow.ts",
      `import { setTimeout as sleep } from "node:timers/promises";
       import { hostname } from "node:os";
       export async function slow(n: number) { console.log(hostname() + " line " + n); await sleep(40); return n; }`,
    );
    const hosts = machines.flatMap(({ name }) => ["--host", name]);
    expect(await home.cli(["up", "lab", ...hosts], { env, timeoutMs: 120_000 })).toMatchObject({ status: 0 });
    await using roads = await roadsTo(lab(), machines);
    const through = { ...env, ...roads.env };
    const inputs = Array.from({ length: 700 }, (_, at) => at);
    const begin = (args: string[]) => home.spawnCli([...args, "--on", "lab"], { env: through });
    const map = begin(["map", "slow.ts#slow", "--input", "-", "--env", '{"replicas":3}']);
    map.stdin!.end(inputs.join("\n"));
    const mapped = outcomeOf(map, 100_000);
    const id = await until(
      async () => {
        const { stdout } = await home.cli(["runs", "--on", "lab", "--json"], { env });
        return (JSON.parse(stdout || "[]") as { id: string }[])[0]?.id ?? "";
      },
      (found) => found !== "",
    );
    const readers = [
      ["results", id, "--follow", "--unordered"],
      ["results", id, "--follow"],
      ["logs", id, "--follow"],
    ].map((args) => outcomeOf(begin(args), 100_000));
    // One machine after the other can be reached, and what was there is cut.
    for (const open of [1, 2, 0]) {
      await sleep(1_500);
      for (const [at, proxy] of roads.proxies.entries()) if (at !== open) await proxy.refuse();
      await roads.proxies[open]!.accept();
      for (const proxy of roads.proxies) proxy.cut();
    }
    const all = await Promise.all([mapped, ...readers]);
    const [{ stdout, stderr }, unordered, ordered, logs] = all;
    for (const { status, stderr: said } of all) expect([status, said]).toEqual([0, expect.not.stringMatching(/error/)]);
    const indices = (text: string) =>
      text
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { index: number }).index);
    const lines = (text: string) =>
      [...text.matchAll(/m\d+ line (\d+)/g)].map(([, number]) => Number(number)).toSorted((a, b) => a - b);
    expect(indices(stdout)).toEqual(inputs);
    expect(indices(ordered!.stdout)).toEqual(inputs);
    expect(indices(unordered!.stdout).toSorted((a, b) => a - b)).toEqual(inputs);
    expect(lines(logs!.stdout)).toEqual(inputs);
    expect(lines(stderr)).toEqual(inputs);
    expect(new Set([...logs!.stdout.matchAll(/(m\d+) line/g)].map(([, name]) => name)).size).toBe(3);
    await home.cli(["down", "lab", "--force"], { env });
  }, 120_000);
});
