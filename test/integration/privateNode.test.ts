import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { cp, mkdir, readFile, realpath } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Lab } from "../lab/lab.ts";
import type { Machine } from "../lab/machine.ts";
import { TestHome } from "../support/home.ts";

/** An archive laid out as the official ones, with this project's Node in it, served to machines that have none. */
describe("a machine without Node", () => {
  let lab: Lab;
  let server: Server;
  let archive: string;
  let sha256: string;
  let asked: string[] = [];
  let machine: Machine;
  let home: TestHome;

  beforeAll(async () => {
    lab = await Lab.start();
    const top = join(lab.folder, "node-v24.99.0-linux-x64");
    await mkdir(join(top, "bin"), { recursive: true });
    await cp(process.execPath, join(top, "bin/node"));
    const npm = execFileSync("npm", ["root", "-g"], { encoding: "utf8" }).trim();
    await mkdir(join(top, "lib/node_modules"), { recursive: true });
    await cp(await realpath(join(npm, "npm")), join(top, "lib/node_modules/npm"), { recursive: true });
    archive = join(lab.folder, "node.tar.gz");
    execFileSync("tar", [
      "-C",
      dirname(top),
      "--use-compress-program",
      "gzip -1",
      "-cf",
      archive,
      "node-v24.99.0-linux-x64",
    ]);
    sha256 = createHash("sha256")
      .update(await readFile(archive))
      .digest("hex");
    server = createServer((request, response) => {
      asked.push(`${request.socket.remoteAddress?.replace("::ffff:", "")}`);
      createReadStream(archive).pipe(response);
    });
    await new Promise<void>((resolve) => server.listen(0, lab.address, resolve));
  });
  afterAll(async () => {
    server.close();
    server.closeAllConnections();
    await lab[Symbol.asyncDispose]();
  });

  const url = () => `http://${lab.address}:${(server.address() as AddressInfo).port}/node.tar.gz`;
  const up = (node: string) =>
    home.cli(["up", "lab", "--host", machine.name], {
      env: { FARCALL_SSH_CONFIG: lab.sshConfigFile, FARCALL_NODE: node },
    });
  const withMachine = async (options: Parameters<Lab["machine"]>[0], act: () => Promise<void>) => {
    asked = [];
    home = await TestHome.create();
    machine = await lab.machine({ node: "none", ...options });
    try {
      await act();
      await home.cli(["down", "lab", "--force"], { env: { FARCALL_SSH_CONFIG: lab.sshConfigFile } });
    } finally {
      await machine.kill();
      await home[Symbol.asyncDispose]();
    }
  };

  it("fetches one, and checks it, where it can", () =>
    withMachine({}, async () => {
      const { status, stderr } = await up(`${url()}#sha256=${sha256}`);
      expect(stderr).toMatch(/fetching node\.tar\.gz there\n.*sending the agent\nlab is up/s);
      expect(status).toBe(0);
      expect(asked).toEqual([machine.address]);
      await home.write("v.ts", "export const version = () => [process.version, process.execPath];");
      const run = await home.cli(["run", "--on", "lab", "v.ts#version"], {
        env: { FARCALL_SSH_CONFIG: lab.sshConfigFile },
      });
      expect(JSON.parse(run.stdout)).toEqual([
        process.version,
        `${machine.home}/.farcall-node/node-${sha256.slice(0, 12)}/bin/node`,
      ]);
      await home.cli(["down", "lab"], { env: { FARCALL_SSH_CONFIG: lab.sshConfigFile } });
      expect(await machine.do(`ls -A ${machine.home}`)).not.toMatch(/farcall/);
    }));

  it("is sent one where it cannot fetch, from the client's cache the second time", () =>
    withMachine({ without: ["curl", "wget"] }, async () => {
      const first = await up(`${url()}#sha256=${sha256}`);
      expect(first.stderr).toMatch(/fetching node\.tar\.gz\n.*sending node\.tar\.gz/s);
      expect(first.status).toBe(0);
      await home.cli(["down", "lab"], { env: { FARCALL_SSH_CONFIG: lab.sshConfigFile } });
      const second = await up(`${url()}#sha256=${sha256}`);
      expect(second.stderr).not.toMatch(/fetching/);
      expect(second.status).toBe(0);
      expect(asked).toEqual([lab.address]);
    }));

  it("is sent the file that FARCALL_NODE names", () =>
    withMachine({}, async () => {
      expect(await up(archive)).toMatchObject({ status: 0 });
      expect(asked).toEqual([]);
    }));

  it("does not take one that is not what it should be", () =>
    withMachine({}, async () => {
      const { status, stderr } = await up(`${url()}#sha256=${"0".repeat(64)}`);
      expect(status).toBe(2);
      expect(stderr).toMatch(/error node\.install-failed: Node\.js could not be put on m\d+: the archive is damaged/);
      expect(await machine.do(`ls -A ${machine.home}`)).not.toMatch(/farcall/);
    }));

  it("refuses an address without a checksum", () =>
    withMachine({}, async () => {
      const { stderr } = await home.cli(["up", "lab", "--host", machine.name], {
        env: { FARCALL_SSH_CONFIG: lab.sshConfigFile, FARCALL_NODE: "http://somewhere/node.tar.gz" },
      });
      expect(stderr).toMatch(/error spec\.invalid: FARCALL_NODE is .*, without a checksum/);
    }));
});
