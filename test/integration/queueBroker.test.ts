/** Seats of the broker: who gets in, and what becomes of the work when they die. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { Broker } from "../../runtime/queue/jetstream/broker.ts";
import { makeUser } from "../../runtime/queue/jetstream/brokerConfig.ts";
import { makeAuthority, makeCertificate } from "../../runtime/queue/jetstream/certificates.ts";
import { type BrokerAddress, Connection } from "../../runtime/queue/jetstream/connection.ts";
import { JetStreamQueue, type JetStreamQueueOptions } from "../../runtime/queue/jetstream/queue.ts";
import { natsServerProgram } from "../support/natsProgram.ts";
import { startSeats, type TestSeat } from "../support/natsServer.ts";
import { chunk, chunks, drain, firstFault, newJob, readOutcomes, settleWhole } from "../support/queueData.ts";
import { workThrough } from "../support/queueLoad.ts";

const longMs = 30_000;
const readyMs = 30_000;
const queues: JetStreamQueue[] = [];
const open = async (options: JetStreamQueueOptions): Promise<JetStreamQueue> => {
  const queue = await JetStreamQueue.open(options);
  queues.push(queue);
  return queue;
};
afterEach(async () => {
  await Promise.all(queues.splice(0).map((queue) => queue.close()));
});

describe("a seat with certificates and users", () => {
  const authority = makeAuthority("farcall test");
  const mine = makeCertificate(authority, "seat", ["localhost", "127.0.0.1", "::1"]);
  const node = { ca: authority.cert, ...makeCertificate(authority, "node", []) };
  const [owner, agent, late] = [makeUser(), makeUser(), makeUser()];
  const users = [
    { nkey: owner.nkey, role: "owner" },
    { nkey: agent.nkey, role: "agent", inboxPrefix: "_INBOX_n1" },
  ] as const;
  let seat: TestSeat;
  let asOwner: BrokerAddress;
  let asAgent: BrokerAddress;

  beforeAll(async () => {
    [seat] = (await startSeats(1, { tls: { ca: authority.cert, ...mine }, users })) as [TestSeat];
    asOwner = { servers: [seat.server], tls: node, nkeySeed: owner.seed };
    asAgent = { servers: [seat.server], tls: node, nkeySeed: agent.seed, inboxPrefix: "_INBOX_n1" };
    await seat.broker.ready(asOwner, readyMs);
    await open(asOwner);
  });

  test("has certificates that anybody else can read", () => {
    const certificate = new X509Certificate(mine.cert);
    const issuer = new X509Certificate(authority.cert);
    expect(certificate.verify(issuer.publicKey)).toBe(true);
    expect(certificate.checkIssued(issuer)).toBe(true);
    expect([issuer.ca, certificate.ca]).toEqual([true, false]);
    expect(certificate.checkHost("localhost")).toBe("localhost");
    expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(certificate.subjectAltName).toContain("IP Address:0:0:0:0:0:0:0:1");
    expect(certificate.checkHost("other")).toBeUndefined();
  });

  test("lets in who has a certificate of the cluster and a user, and nobody else", async () => {
    const other = makeAuthority("farcall test");
    const stranger = { ca: authority.cert, ...makeCertificate(other, "node", []) };
    const unreachable = { code: "connection.lost" };
    await expect(open({ ...asOwner, tls: stranger })).rejects.toMatchObject(unreachable);
    await expect(open({ ...asOwner, tls: { ...node, ca: other.cert } })).rejects.toMatchObject(unreachable);
    const none = { servers: asOwner.servers as string[], tls: { ca: authority.cert }, reconnect: false };
    await expect(
      connect({ ...none, authenticator: nkeyAuthenticator(new TextEncoder().encode(owner.seed)) }),
    ).rejects.toThrow();
    await expect(open({ ...asOwner, nkeySeed: late.seed })).rejects.toMatchObject({ code: "agent.auth" });
    await expect(open({ servers: asOwner.servers, tls: node })).rejects.toMatchObject({ code: "agent.auth" });
    seat.broker.reload({ ...seat.seat, users: [...users, { nkey: late.nkey, role: "owner" }] });
    await expect
      .poll(() =>
        open({ ...asOwner, nkeySeed: late.seed }).then(
          () => "in",
          () => "out",
        ),
      )
      .toBe("in");
  });

  test("lets an agent work, and change no stream", async () => {
    const queue = await open(asAgent);
    const id = await newJob(queue);
    await queue.addChunks(id, chunks(3, 2));
    const [lease] = await queue.claim(id, { max: 1, waitMs: longMs });
    await queue.settle(lease!, { results: [], children: [chunk(0, 1), chunk(1, 1)] });
    expect(await drain(queue, id)).toBe(4);
    await queue.closeInput(id, 6);
    await queue.setState(id, "done", 1);
    await queue.deleteJob(id);
    const nats = await connect({
      servers: [seat.server],
      tls: node,
      authenticator: nkeyAuthenticator(new TextEncoder().encode(agent.seed)),
      inboxPrefix: "_INBOX_n1",
    });
    const { streams } = await jetstreamManager(nats, { checkAPI: false, timeout: 2_000 });
    await expect(streams.delete("RES")).rejects.toThrow(/permission/i);
    await expect(streams.update("RES", { max_bytes: 1 })).rejects.toThrow(/permission/i);
    await expect(nats.request("other", "", { timeout: 2_000 })).rejects.toThrow(/permission/i);
    nats.subscribe("w.>", { callback: (error) => void refused.push(error?.name) });
    const refused: unknown[] = [];
    await expect.poll(() => refused).toEqual(["PermissionViolationError"]);
    await nats.close();
  });

  test("tells an agent of new leaders, and it asks again what was asked of those before", async () => {
    const [connection, owning] = await Promise.all([Connection.open(asAgent), Connection.open(asOwner)]);
    try {
      let tries = 0;
      // The first one has no answer, as that of a leader that died has none.
      const ask = (): Promise<string> => (tries++ === 0 ? new Promise(() => undefined) : Promise.resolve("here"));
      const answer = connection.persist(ask);
      await sleep(500);
      expect(tries).toBe(1);
      owning.nats.publish("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.RES");
      expect(await answer).toBe("here");
    } finally {
      await Promise.all([connection.close(), owning.close()]);
    }
  });

  test("of an earlier build's configuration tells an agent of new leaders from when it has the present one", async () => {
    const config = join(seat.folder, "nats.conf");
    const present = readFileSync(config, "utf8");
    writeFileSync(config, present.replaceAll('"$JS.EVENT.ADVISORY.*.LEADER_ELECTED.>"', '"of-an-earlier-build"'));
    process.kill(seat.broker.pid!, "SIGHUP");
    const raw = await connect({
      servers: asAgent.servers as string[],
      tls: node,
      authenticator: nkeyAuthenticator(new TextEncoder().encode(agent.seed)),
    });
    const isRefused = () =>
      new Promise<boolean>((resolve) => {
        raw.subscribe("$JS.EVENT.ADVISORY.*.LEADER_ELECTED.>", { callback: (error) => resolve(error !== null) });
        void raw.flush().then(() => resolve(false));
      });
    await expect.poll(isRefused).toBe(true);
    const [connection, owning] = await Promise.all([Connection.open(asAgent), Connection.open(asOwner)]);
    const heard: string[] = [];
    connection.onLeader((consumer) => void heard.push(consumer));
    const elect = async (consumer: string) => {
      owning.nats.publish(`$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.RES.${consumer}`);
      await owning.nats.flush();
      await sleep(200);
      return heard;
    };
    try {
      expect(await elect("early")).toEqual([]);
      // As its agent does when it starts, and when its node is told of a change.
      seat.broker.reload(seat.seat);
      await expect.poll(isRefused).toBe(false);
      await expect.poll(() => elect("late"), { timeout: longMs }).toContain("late");
    } finally {
      await Promise.all([connection.close(), owning.close(), raw.close()]);
    }
  });
});

test("a broker that is too old is refused", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write('INFO {"server_id":"X","version":"2.14.4","max_payload":1048576,"headers":true,"proto":1}\r\n');
    socket.on("data", (data) => data.includes("PING") && socket.write("PONG\r\n"));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  await expect(open({ servers: [`nats://127.0.0.1:${port}`] })).rejects.toMatchObject({ code: "agent.version" });
  await once(server.close(), "close");
});

test("a broker that is not there is refused as one that may come", async () => {
  await expect(open({ servers: ["nats://127.0.0.1:1"] })).rejects.toMatchObject({
    code: "connection.lost",
    retryable: true,
  });
});

describe("a seat that dies", () => {
  test("is started again, and the work goes on", async () => {
    const [{ broker, server }] = (await startSeats(1)) as [TestSeat];
    const servers = [server];
    await broker.ready({ servers }, readyMs);
    const workers = [await open({ servers, leaseMs: 2_000 }), await open({ servers, leaseMs: 2_000 })];
    const id = await newJob(workers[0]!);
    const pids = new Set<number>();
    const killing = setInterval(() => {
      if (pids.size > 2 || pids.has(broker.pid!)) return;
      pids.add(broker.pid!);
      process.kill(broker.pid!, "SIGKILL");
    }, 600);
    await workThrough(workers, id, 1_000);
    clearInterval(killing);
    expect(pids.size).toBeGreaterThan(1);
  });

  test("outlives its agent and is found by the next one, which can end it", async () => {
    const [{ broker, folder, seat, server }] = (await startSeats(1)) as [TestSeat];
    await broker.ready({ servers: [server] }, readyMs);
    const { pid } = broker;
    await broker.leave();
    const next = new Broker({ program: await natsServerProgram(), folder, memoryBytes: 1e8 });
    next.start(seat);
    expect(next.pid).toBe(pid);
    await next.ready({ servers: [server] }, readyMs);
    process.kill(pid!, "SIGKILL");
    await expect.poll(() => next.pid !== pid && next.pid !== undefined, { timeout: 5_000 }).toBe(true);
    await next.ready({ servers: [server] }, readyMs);
    await next.end();
    await expect(open({ servers: [server] })).rejects.toMatchObject({ code: "connection.lost" });
  });

  test("is started again by an agent that wants it at another port, with what it had stored", async () => {
    const [{ broker, folder, seat, server }] = (await startSeats(1)) as [TestSeat];
    await broker.ready({ servers: [server] }, readyMs);
    const before = await open({ servers: [server] });
    const id = await newJob(before);
    await before.close();
    await broker.leave();
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, "close");
    const next = new Broker({ program: await natsServerProgram(), folder, memoryBytes: 1e8 });
    next.start({ ...seat, listen: { ...seat.listen, port } });
    const address = { servers: [`nats://127.0.0.1:${port}`] };
    await next.ready(address, readyMs);
    expect(await (await open(address)).job(id)).toMatchObject({ id });
    await next.end();
  });
});

describe("three seats", () => {
  let seats: TestSeat[];
  let servers: string[];

  beforeAll(async () => {
    seats = await startSeats(3);
    servers = seats.map(({ server }) => server);
    await Promise.all(seats.map(({ broker }) => broker.ready({ servers }, readyMs)));
  });

  test("have all outcomes of a job that ended for whoever is told of its end before the last of them", async () => {
    const worker = await open({ servers, replicas: 3 });
    // Each reader's consumer lies on one of the seats, and each of those may be behind.
    const readers = await Promise.all(servers.map(() => open({ servers, replicas: 3 })));
    for (let round = 0; round < 60; round++) {
      const id = await newJob(worker);
      await worker.addChunks(id, chunks(20, 1));
      await worker.closeInput(id, 20);
      await Promise.all(readers.map((reader) => reader.counts(id)));
      const leases = await worker.claim(id, { max: 20, waitMs: longMs });
      await Promise.all(leases.map((lease) => settleWhole(worker, lease)));
      await drain(worker, id);
      await worker.setState(id, "done", (await worker.job(id))!.revision);
      const found = readers.map(async (reader) => {
        while ((await reader.job(id))!.state !== "done") await new Promise((resolve) => setImmediate(resolve));
        return firstFault(await readOutcomes(reader, id, { order: "index" }));
      });
      expect(await Promise.all(found)).toEqual([20, 20, 20]);
    }
  });

  test("lose one under load, the leader, and no outcome", async () => {
    const options = { servers, replicas: 3, leaseMs: 3_000 } as const;
    const workers = [await open(options), await open(options)];
    const id = await newJob(workers[0]!);
    await workers[0]!.addChunks(id, [chunk(0, 5)]);
    const [first] = await workers[1]!.claim(id, { max: 1, waitMs: longMs });
    await settleWhole(workers[1]!, first!);

    const nats = await connect({ servers });
    const { streams } = await jetstreamManager(nats, { timeout: 10_000 });
    const leader = (await streams.info("RES")).cluster!.leader;
    await nats.close();
    const dying = seats.find(({ seat }) => seat.name === leader)!.broker;
    const { pid } = dying;
    setTimeout(() => process.kill(pid!, "SIGKILL"), 200);
    await workThrough(workers, id, 200);
    expect(dying.pid).not.toBe(pid);
  });

  test("soon ask one for nothing any more that went without a word", async () => {
    const worker = await open({ servers, replicas: 3 });
    const id = await newJob(worker);
    await worker.addChunks(id, chunks(60, 1));
    await drain(worker, id);
    // Until every seat gives outcomes out, as it does a moment after it has them.
    await sleep(2_000);
    const asleep = seats[1]!;
    const reader = await open({ servers: servers.filter((server) => server !== asleep.server), replicas: 3 });
    await reader.counts(id);
    process.kill(asleep.broker.pid!, "SIGSTOP");
    try {
      await sleep(7_500);
      const beganAtMs = performance.now();
      expect(firstFault(await readOutcomes(reader, id, { order: "index" }))).toBe(60);
      expect(performance.now() - beganAtMs).toBeLessThan(2_500);
    } finally {
      process.kill(asleep.broker.pid!, "SIGCONT");
    }
  });
});
