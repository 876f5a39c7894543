import { spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import { TestFleet } from "../support/fleet.ts";
import { until } from "../support/home.ts";

describeInLab("clusters with --relay", (lab) => {
  it("say which sshd has to let ports be forwarded, of the machine or of the queue's", async () => {
    await using fleet = await TestFleet.prepare({ lab: lab(), nodes: 2 });
    const [head, apart] = fleet.machines;
    await apart!.block(head!.address);
    await head!.block(apart!.address);
    for (const strict of [apart!, head!]) {
      const config = "/etc/lab/sshd_config";
      const reload = "kill -HUP $(cat /run/sshd.pid); sleep 0.5";
      await strict.do(`sed -i "1i AllowTcpForwarding no" ${config}; ${reload}`);
      const up = await fleet.bringUp("--relay");
      expect(up.stderr).toMatch(
        new RegExp(
          `error node\\.unreachable: The traffic of ${apart!.name} cannot be relayed: sshd on ${strict.name} does not`,
        ),
      );
      expect(up.stderr).toMatch(new RegExp(`Set \`AllowTcpForwarding yes\` in the sshd_config of ${strict.name}`));
      expect(up.status).toBe(2);
      await strict.do(`sed -i 1d ${config}; ${reload}`);
    }
    expect((await fleet.bringUp("--relay")).stderr).toMatch(/lab is up: 2 nodes/);
    expect(await fleet.cli(["down", "lab"])).toMatchObject({ status: 0 });
    expect(fleet.farcallProcesses()).toEqual([]);
  }, 180_000);

  it("have one seat where no three machines get through to each other, and none of it is lost by a client that hangs", async () => {
    await using fleet = await TestFleet.prepare({ lab: lab(), nodes: 3 });
    const [head, apart, last] = fleet.machines;
    await apart!.block(head!.address);
    await apart!.block(last!.address);
    const up = await fleet.bringUp("--relay");
    expect(up.stderr).toMatch(new RegExp(`no three nodes get through to each other: ${head!.name} alone`));
    expect(up.stderr).toMatch(new RegExp(`${apart!.name} does not get through to ${head!.name}: it works while`));
    expect(up.stderr).toMatch(/lab is up: 3 nodes/);
    // One that carries, and stops without a word: the machine's sshd goes on taking connections for it.
    const library = pathToFileURL(join(import.meta.dirname, "../../dist/index.js")).href;
    const script = `import { cluster } from ${JSON.stringify(library)};
      await cluster("lab").upIfNot();
      setTimeout(() => undefined, 1e6);`;
    const there = async () => {
      const { stdout } = await fleet.cli(["status", "lab", "--json"]);
      return (JSON.parse(stdout) as { nodes: unknown[] }).nodes.length;
    };
    await until(there, (count) => count === 2, 30_000);
    const client = spawn(process.execPath, ["--input-type=module", "-e", script], {
      env: { ...process.env, ...fleet.environment, FARCALL_HOME: fleet.home.path },
      stdio: "inherit",
    });
    await until(there, (count) => count === 3, 30_000);
    client.kill("SIGSTOP");
    await until(there, (count) => count === 2, 30_000);
    await using cluster = fleet.open();
    const { slow } = await cluster.import<{ slow(n: number): Promise<[number, string]> }>(fleet.functionsFile, {
      env: { replicas: 3 },
    });
    await until(there, (count) => count === 3, 60_000);
    const values = await slow.map(Array.from({ length: 600 }, (_, at) => at)).toArray();
    expect(values.some(([, host]) => host === apart!.name)).toBe(true);
    client.kill("SIGKILL");
    expect(await fleet.cli(["down", "lab"])).toMatchObject({ status: 0 });
    expect(fleet.farcallProcesses()).toEqual([]);
  }, 180_000);
});
