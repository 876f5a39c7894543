import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, readFileSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Machine } from "../lab/machine.ts";

import { until } from "../support/home.ts";

/** OpenSSH's own client: machines have to be right for everybody. */
function logIn(sshConfigFile: string, machine: Machine, command: string) {
  const { status, stdout, stderr } = spawnSync("ssh", ["-F", sshConfigFile, machine.name, command], {
    encoding: "utf8",
  });
  return { status, stdout: stdout.trim(), stderr };
}

async function connected(machine: Machine) {
  const socket = connect({ host: machine.address, port: machine.port });
  let closed = false;
  socket.on("error", () => undefined).on("close", () => (closed = true));
  await once(socket, "data");
  return { socket, isClosed: () => closed };
}

describeInLab("simulated machines", (lab) => {
  const ssh = (machine: Machine, command: string) => logIn(lab().sshConfigFile, machine, command);

  it("let one in by SSH, have their own name, address, home and processes, and reach each other", async () => {
    const [first, second] = (await lab().machines(2)) as [Machine, Machine];
    expect(ssh(first, "hostname; pwd; ls -A; node -p process.versions.node")).toMatchObject({
      status: 0,
      stdout: `${first.name}\n/home/me\n${process.versions.node}`,
    });
    await first.do(`bash -c ': < /dev/tcp/${second.address}/22'`);
    expect(first.processes().filter(({ command }) => /vitest/.test(command))).toEqual([]);
  });

  it("write to a disk of their own, which survives their death", async () => {
    const machine = await lab().machine({ user: "root" });
    expect(ssh(machine, "pwd; ls -A").stdout).toBe("/root");
    await machine.do("echo here > /etc/lab-was-here; echo there > ~/file; echo gone > /tmp/file");
    expect(existsSync("/etc/lab-was-here")).toBe(false);
    await machine.kill();
    expect(machine.isUp).toBe(false);
    await machine.boot();
    expect(ssh(machine, "cat /etc/lab-was-here ~/file; ls /tmp").stdout).toBe("here\nthere");
  });

  it("have the login shell, the programs and the Node that are asked for", async () => {
    const shells = ["bash", "dash", "busybox", "fish"] as const;
    const realPath = (shell: string) => realpath(`/usr/bin/${shell}`);
    for (const shell of shells) {
      const machine = await lab().machine({ shell, node: "none", without: ["tar"] });
      expect(ssh(machine, "sh -c 'readlink /proc/$PPID/exe'; true").stdout).toBe(await realPath(shell));
      const programs = "for program in node npm tar gzip; do command -v $program; done";
      expect(ssh(machine, `exec sh -c '${programs}'`).stdout).toBe("/usr/bin/gzip");
      await machine.kill();
    }
    const old = await lab().machine({ node: "20" });
    expect(ssh(old, "node --version; node -p 'process.version + process.versions.node'").stdout).toBe(
      "v20.19.0\nv20.19.020.19.0",
    );
  });

  it("end with all their processes when they are killed, and say so to whoever is connected", async () => {
    const machine = await lab().machine();
    ssh(machine, "setsid sleep 5432 > /dev/null 2>&1 < /dev/null &");
    const sleeps = () => machine.processes().some(({ command }) => command === "sleep 5432");
    expect(await until(sleeps, Boolean)).toBe(true);
    const { isClosed } = await connected(machine);
    await machine.kill();
    expect(await until(isClosed, Boolean)).toBe(true);
    expect(commandLines().filter((line) => line === "sleep 5432 ")).toEqual([]);
  });

  it("say nothing when their power goes", async () => {
    const machine = await lab().machine();
    const { socket, isClosed } = await connected(machine);
    await machine.powerOff();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(isClosed()).toBe(false);
    socket.destroy();
    await machine.boot();
    expect(ssh(machine, "hostname").stdout).toBe(machine.name);
  });

  it("are cut off and joined again, wholly or from one address", async () => {
    const [machine, other] = (await lab().machines(2)) as [Machine, Machine];
    const reaches = async (address: string) =>
      (await machine.run(`timeout 1 bash -c ': < /dev/tcp/${address}/22' 2> /dev/null`)).status === 0;
    expect(await reaches(other.address)).toBe(true);
    await machine.block(other.address);
    expect(await reaches(other.address)).toBe(false);
    expect(ssh(machine, "hostname").status).toBe(0);
    await machine.allow(other.address);
    expect(await reaches(other.address)).toBe(true);
    await machine.partition();
    expect(await reaches(other.address)).toBe(false);
    await machine.heal();
    expect(await until(() => reaches(other.address), Boolean)).toBe(true);
  });

  it("have full disks, frozen processes and no zombies", async () => {
    const machine = await lab().machine({ diskMiB: 32 });
    await machine.fillDisk();
    for (const place of ["/home/me", "/tmp", "/var"])
      expect((await machine.run(`head -c 100000 /dev/zero > ${place}/file`)).stderr).toContain("No space left");
    await machine.freeDisk();
    await machine.do("head -c 1000000 /dev/zero > /home/me/file");

    await machine.do("setsid sleep 6543 > /dev/null 2>&1 < /dev/null & true");
    const state = () => machine.processes().find(({ command }) => command === "sleep 6543")?.state;
    expect(await until(() => machine.freeze(/^sleep 6543$/), Boolean)).toBe(1);
    expect(await until(state, (seen) => seen === "T")).toBe("T");
    machine.thaw(/^sleep 6543$/);
    expect(await until(state, (seen) => seen === "S")).toBe("S");
    machine.signal(/^sleep 6543$/, "SIGKILL");
    expect(await until(state, (seen) => seen === undefined)).toBeUndefined();
  });

  it("stop in order when they are asked to", async () => {
    const machine = await lab().machine();
    const waits = `trap "echo asked > /home/me/asked; exit" TERM; while :; do sleep 0.1; done`;
    await machine.do(`setsid sh -c '${waits}' > /dev/null 2>&1 < /dev/null & true`);
    await until(
      () => machine.processes().map(({ command }) => command),
      (commands) => commands.includes("sleep 0.1"),
    );
    await machine.shutDown();
    await machine.boot();
    expect(await machine.do("cat /home/me/asked")).toBe("asked\n");
  });

  it("leave nothing behind, also when the process that has them is killed", async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "../lab/labInAProcess.ts")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
    const { folder, traces } = JSON.parse(line) as { folder: string; traces: string[] };
    const [link] = traces as [string];
    expect(traces.length).toBeGreaterThan(3);
    expect(link).toContain("/sys/class/net/");
    child.kill("SIGKILL");
    const left = () => [
      ...globSync(`${link}*`),
      ...commandLines().filter((each) => each.includes(folder) || each === "sleep 4321 "),
      ...(existsSync(folder) ? [folder] : []),
    ];
    expect(await until(left, (found) => found.length === 0)).toEqual([]);
  });
});

function commandLines(): string[] {
  return globSync("/proc/[0-9]*/cmdline").flatMap((file) => {
    try {
      return [readFileSync(file, "utf8").replaceAll("\0", " ")];
    } catch {
      return [];
    }
  });
}
