import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { SshPrompter } from "../../runtime/transport/ssh/auth.ts";
import type { SshTarget } from "../../runtime/transport/ssh/target.ts";
import { describeInLab } from "../lab/describeInLab.ts";
import type { Lab } from "../lab/lab.ts";
import type { Machine } from "../lab/machine.ts";
import { execute, executed } from "../lab/namespaces.ts";
import { until } from "../support/home.ts";
import { open, targetOf } from "../support/ssh.ts";

/** A person who gives these answers, and what they were asked. */
class Person implements SshPrompter {
  readonly asked: string[] = [];
  readonly #answers: (string | undefined)[];

  constructor(...answers: (string | undefined)[]) {
    this.#answers = answers;
  }

  passphrase(keyFile: string, again: boolean): Promise<string | undefined> {
    this.asked.push(`${again ? "again: " : ""}${keyFile}`);
    return Promise.resolve(this.#answers.shift());
  }

  password(host: string, prompt: string): Promise<string | undefined> {
    this.asked.push(`${host}: ${prompt}`);
    return Promise.resolve(this.#answers.shift());
  }

  confirmHostKey(): Promise<boolean> {
    return Promise.reject(new Error("There is no question about the host."));
  }
}

let made = 0;

/** A key file of its own, encrypted or not. */
async function makeKey(lab: Lab, options: { passphrase?: string; type?: string; pem?: boolean } = {}): Promise<string> {
  const { passphrase = "", type = "ed25519", pem = false } = options;
  const file = join(lab.folder, `key${++made}`);
  const format = pem ? ["-m", "PEM"] : [];
  await executed(["ssh-keygen", "-q", "-t", type, ...format, "-N", passphrase, "-C", "test", "-f", file]);
  return file;
}

async function letIn(machine: Machine, keyFile: string): Promise<void> {
  await machine.do(`cat >> /etc/lab/keys_${machine.user}`, { input: await readFile(`${keyFile}.pub`) });
}

async function login(lab: Lab, machine: Machine, changes: Partial<SshTarget>, prompter?: SshPrompter) {
  await using connection = await open(lab, targetOf(lab, machine, changes), { prompter });
  return String((await connection.run("id -un")).stdout).trim();
}

/** A real ssh-agent with these keys in it. */
class Agent implements AsyncDisposable {
  readonly socket: string;
  readonly #process: ChildProcess;

  private constructor(socket: string, child: ChildProcess) {
    this.socket = socket;
    this.#process = child;
  }

  static async start(lab: Lab, ...keyFiles: string[]): Promise<Agent> {
    const socket = join(lab.folder, `agent${++made}`);
    const child = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    const agent = new Agent(socket, child);
    await until(
      () => execute(["test", "-S", socket]),
      ({ status }) => status === 0,
    );
    for (const file of keyFiles) {
      const { status, stderr } = await execute(["env", `SSH_AUTH_SOCK=${socket}`, "ssh-add", "-q", file]);
      if (status !== 0) throw new Error(stderr);
    }
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await once(this.#process, "exit");
  }
}

const noKeys = { identityFiles: [], agentSocket: undefined };

describeInLab("logging in", (lab) => {
  let machine: Machine;
  const me = async () => (machine ??= await lab().machine({ name: "auth" }));

  it.each([["ed25519"], ["ecdsa"], ["rsa"]])("works with a key file of type %s", async (type) => {
    const file = await makeKey(lab(), { type });
    await letIn(await me(), file);
    expect(await login(lab(), await me(), { ...noKeys, identityFiles: ["/not/there", file] })).toBe("me");
  });

  it("works by an ssh-agent, also when a key file has a key that it holds", async () => {
    const file = await makeKey(lab());
    await letIn(await me(), file);
    await using agent = await Agent.start(lab(), await makeKey(lab()), file);
    expect(await login(lab(), await me(), { ...noKeys, identitiesOnly: false, agentSocket: agent.socket })).toBe("me");
    // As password managers have it: the private key is in the agent alone.
    await rm(file);
    const only = { identityFiles: [`${file}.pub`], identitiesOnly: true, agentSocket: agent.socket };
    expect(await login(lab(), await me(), only)).toBe("me");
    const none = { ...only, identityFiles: [`${await makeKey(lab())}.pub`] };
    await expect(login(lab(), await me(), none)).rejects.toMatchObject({ code: "ssh.auth" });
  });

  it("by an ssh-agent with many keys shows that of the configuration first", async () => {
    const file = await makeKey(lab());
    await letIn(await me(), file);
    const others = await Promise.all(Array.from({ length: 8 }, () => makeKey(lab())));
    await using agent = await Agent.start(lab(), ...others, file);
    const target = { identitiesOnly: false, agentSocket: agent.socket };
    expect(await login(lab(), await me(), { ...target, identityFiles: [file] })).toBe("me");
    // sshd ends it after six.
    await expect(login(lab(), await me(), { ...target, identityFiles: [] })).rejects.toMatchObject({
      code: "ssh.auth",
      hint: expect.stringContaining("IdentityFile"),
    });
  });

  it("does not need the ssh-agent that is named, if a key works", async () => {
    const changes = { identityFiles: [lab().privateKeyFile], identitiesOnly: false, agentSocket: "/gone/agent" };
    expect(await login(lab(), await me(), changes)).toBe("me");
  });

  it("asks for a passphrase once for many machines, again when it was wrong, and not without need", async () => {
    const second = await lab().machine();
    const file = await makeKey(lab(), { passphrase: "open sesame" });
    const useless = await makeKey(lab(), { passphrase: "never asked" });
    await rm(`${useless}.pub`);
    for (const each of [await me(), second]) await letIn(each, file);
    const person = new Person("wrong", "open sesame");
    const changes = { ...noKeys, identityFiles: [useless, file] };
    expect(
      await Promise.all([
        login(lab(), await me(), changes, person),
        login(lab(), second, changes, person),
        login(lab(), second, changes, person),
      ]),
    ).toEqual(["me", "me", "me"]);
    expect(await login(lab(), second, changes, person)).toBe("me");
    expect(person.asked).toEqual([file, `again: ${file}`]);
    // A file that was written anew is asked about anew.
    const renewed = await makeKey(lab(), { passphrase: "another" });
    await letIn(second, renewed);
    await copyFile(renewed, file);
    await rm(`${file}.pub`);
    const again = new Person("another");
    expect(await login(lab(), second, changes, again)).toBe("me");
    expect(again.asked).toEqual([file]);
  });

  it("opens keys in the old format, with the public key beside them and without", async () => {
    const file = await makeKey(lab(), { passphrase: "old times", type: "rsa", pem: true });
    await letIn(await me(), file);
    const copy = join(lab().folder, `key${++made}`);
    await copyFile(file, copy);
    for (const each of [file, copy]) {
      const person = new Person("old times");
      expect(await login(lab(), await me(), { ...noKeys, identityFiles: [each] }, person)).toBe("me");
      expect(person.asked).toEqual([each]);
    }
  });

  it("that fails says by what it was tried, and what could not be", async () => {
    const wrong = await makeKey(lab());
    const locked = await makeKey(lab(), { passphrase: "nobody says" });
    const broken = join(lab().folder, "broken");
    await writeFile(broken, "no key at all");
    const changes = { identityFiles: [wrong, locked, broken, lab().folder], agentSocket: "/gone/agent" };
    await expect(login(lab(), await me(), changes)).rejects.toMatchObject({
      code: "ssh.auth",
      message: expect.stringMatching(
        new RegExp(`let me in.*${wrong}.*${locked}.*passphrase.*${broken} \\(which cannot be read.*`),
      ),
    });
    await expect(login(lab(), await me(), noKeys)).rejects.toThrow("There was no key to try.");
    await expect(login(lab(), await me(), { user: "nobody-here" })).rejects.toMatchObject({
      code: "ssh.auth",
      message: expect.stringMatching(/does not let nobody-here in\. Tried were /),
      hint: expect.stringContaining("another user"),
      retryable: false,
    });
    // With three wrong passphrases as well.
    const person = new Person("a", "b", "c");
    await letIn(await me(), locked);
    await expect(login(lab(), await me(), { ...noKeys, identityFiles: [locked] }, person)).rejects.toMatchObject({
      code: "ssh.auth",
    });
    expect(person.asked).toHaveLength(3);
  });

  it("asks for a password where one is taken, and not elsewhere", async () => {
    const open = await lab().machine({ sshd: ["PasswordAuthentication yes"] });
    const wrongKey = { ...noKeys, identityFiles: [await makeKey(lab())] };
    const person = new Person("wrong", open.password);
    expect(await login(lab(), open, wrongKey, person)).toBe("me");
    expect(person.asked).toEqual([`me@${open.name}: Password`, `me@${open.name}: Password`]);
    await expect(login(lab(), open, wrongKey)).rejects.toMatchObject({ code: "ssh.auth" });
    const silent = new Person(undefined);
    await expect(login(lab(), open, wrongKey, silent)).rejects.toMatchObject({ code: "ssh.auth" });
    expect(silent.asked).toHaveLength(1);
    const stubborn = new Person("a", "b", "c", "d");
    await expect(login(lab(), open, noKeys, stubborn)).rejects.toMatchObject({ code: "ssh.auth" });
    expect(stubborn.asked).toHaveLength(3);
    const closed = new Person("never asked");
    await expect(login(lab(), await me(), noKeys, closed)).rejects.toMatchObject({ code: "ssh.auth" });
    expect(closed.asked).toEqual([]);
  });

  it("answers what the host asks by itself", async () => {
    const asking = await lab().machine({ sshd: ["KbdInteractiveAuthentication yes", "UsePAM yes"] });
    const person = new Person("wrong", asking.password);
    expect(await login(lab(), asking, noKeys, person)).toBe("me");
    expect(person.asked).toEqual([`me@${asking.name}: Password`, `me@${asking.name}: Password`]);
    // Offered without anything to ask: the password it is.
    const confused = await lab().machine({ sshd: ["KbdInteractiveAuthentication yes", "PasswordAuthentication yes"] });
    expect(await login(lab(), confused, noKeys, new Person(confused.password))).toBe("me");
  });

  it("gives both where a host wants a key and a password", async () => {
    const careful = await lab().machine({
      sshd: ["PasswordAuthentication yes", "AuthenticationMethods publickey,password"],
    });
    const person = new Person(careful.password);
    expect(await login(lab(), careful, {}, person)).toBe("me");
    await expect(login(lab(), careful, {})).rejects.toMatchObject({ code: "ssh.auth" });
    await expect(login(lab(), careful, noKeys, new Person())).rejects.toMatchObject({ code: "ssh.auth" });
  });
});
