import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { outcomeOf, TestHome, until } from "../support/home.ts";
import { checkOutcomes, random } from "../support/storm.ts";

/**
 * Client, agent and workers are killed with SIGKILL at random moments of one map. Whoever is killed is started
 * again as a user would: the command line is called with the same input and `--resume`, and the rest follows.
 */
const total = 100_000;

test("every input of a map has exactly one outcome, whoever is killed how often", { timeout: 240_000 }, async () => {
  const seed = Number(process.env["FARCALL_SEED"] ?? Date.now() % 2 ** 31);
  console.log(`seed ${seed}; FARCALL_SEED runs it again`);
  const next = random(seed);
  await using home = await TestHome.create();
  const file = await home.write(
    "f.ts",
    "export const f = async (x: number) => { if (x % 50 === 0) await new Promise((r) => setTimeout(r, 2)); return 3 * x; };",
  );
  const input = join(home.project, "input.jsonl");
  writeFileSync(input, Array.from({ length: total }, (_, i) => `${i}\n`).join(""));
  const output = join(home.project, "output.jsonl");
  const kills = { client: 0, agent: 0, worker: 0 };

  let run: string | undefined;
  for (let round = 0; ; round++) {
    const detach = round < 6;
    const args = [
      "map",
      `${file}#f`,
      "--input",
      input,
      "--output",
      output,
      "--replicas",
      "2",
      ...(run ? ["--resume", run] : []),
    ];
    const child = home.spawnCli(args);
    const ended = outcomeOf(child, 120_000);
    if (!detach) {
      const { status, stderr } = await ended;
      expect(stderr).toContain("100,000 done");
      expect(status).toBe(0);
      break;
    }
    // Wait until the run is known, then strike a few times, the client last.
    const victims = 1 + Math.floor(next() * 3);
    for (let strike = 0; strike < victims; strike++) {
      await new Promise((resolve) => setTimeout(resolve, 150 + next() * 500));
      const workers = home.workerPids();
      const agent = home.agentPid();
      if (next() < 0.6 && workers.length > 0) {
        process.kill(workers[Math.floor(next() * workers.length)]!, "SIGKILL");
        kills.worker++;
      } else if (agent !== undefined) {
        process.kill(agent, "SIGKILL");
        kills.agent++;
      }
    }
    if (child.exitCode === null) {
      child.kill("SIGKILL");
      kills.client++;
    }
    await ended;
    const records = JSON.parse((await home.cli(["runs", "--json"])).stdout) as { id: string; kind: string }[];
    run ??= records.find(({ kind }) => kind === "map")?.id;
  }
  console.log(`killed: ${JSON.stringify(kills)}`);
  expect(kills.client + kills.agent + kills.worker).toBeGreaterThan(6);
  expect(checkOutcomes(output, total, (index, value) => value === 3 * index)).toEqual([]);

  const down = await home.cli(["down", "local"]);
  expect(down.status).toBe(0);
  expect(
    await until(
      () => home.leftovers(),
      (left) => left.length === 0,
    ),
  ).toEqual([]);
});
