/** The configuration of one seat: a server of the broker, alone or one of three. */
import { nkeys } from "@nats-io/transport-node";
import type { Certified } from "./certificates.ts";

interface BrokerUser {
  /** Public key; its owner alone has the seed. */
  nkey: string;
  /**
   * `owner` may do anything with the streams, also make them. `agent` may work: it cannot make, change or delete a
   * stream, and hears nothing but answers under its own prefix, and which groups of servers have a leader again.
   */
  role: "owner" | "agent";
  /** For an agent: where its answers arrive; the `inboxPrefix` of its queue. */
  inboxPrefix?: string;
  /** For an agent: what it may say and hear besides, to and from other agents. */
  also?: { publish: string[]; subscribe: string[] };
}

export interface SeatConfig {
  /** Its name among the seats; stays the same when the machine behind it is replaced. */
  name: string;
  /** Where clients connect to. */
  listen: { host: string; port: number };
  /** With other seats: where those connect to, and where all of them are. */
  cluster?: { host: string; port: number; seats: readonly string[] };
  /** The cluster's authority and this seat's certificate. Without, nothing is encrypted: only for one machine. */
  tls?: Certified & { ca: string };
  /** Without, anybody who can connect may do anything. */
  users?: readonly BrokerUser[];
  /**
   * When what is stored is forced to the disk. `always` survives a power cut at some hundred writes a second; with
   * three seats on different power, `1s` is as good as long as not all of them lose theirs at once.
   */
  sync: "always" | `${number}s`;
  /** Most bytes on disk. */
  storeBytes: number;
}

export interface SeatFiles {
  store: string;
  log: string;
  pid: string;
  ca: string;
  cert: string;
  key: string;
}

const memoryStoreBytes = 64 * 1024 * 1024;
/** How much may be on its way to one client before the broker cuts it off. */
const maxPendingBytes = 256 * 1024 * 1024;
const maxPayloadBytes = 1024 * 1024;
const logBytes = 10 * 1024 * 1024;

/** What a queue asks of the broker, and no more. Purging is part of ending a job. */
const agentSubjects = [
  "j.>",
  "w.>",
  "r.>",
  "i.>",
  "b.>",
  ...["INFO.*", "MSG.GET.*", "PURGE.*"].map((api) => `$JS.API.STREAM.${api}`),
  ...["CREATE.>", "DELETE.*.*", "INFO.*.*", "LIST.*", "MSG.NEXT.*.*"].map((api) => `$JS.API.CONSUMER.${api}`),
  "$JS.API.DIRECT.GET.>",
  "$JS.ACK.>",
];

export function makeUser(): { nkey: string; seed: string } {
  const pair = nkeys.createUser();
  return { nkey: pair.getPublicKey(), seed: new TextDecoder().decode(pair.getSeed()) };
}

export function brokerConfig(seat: SeatConfig, files: SeatFiles): string {
  const { name, listen, cluster, tls, users, sync, storeBytes } = seat;
  const secure = tls
    ? [
        "tls {",
        ...[
          `cert_file: ${quote(files.cert)}`,
          `key_file: ${quote(files.key)}`,
          `ca_file: ${quote(files.ca)}`,
          "verify: true",
          'min_version: "1.3"',
          "timeout: 5",
        ].map(indent),
        "}",
      ]
    : [];
  const lines = [
    `server_name: ${quote(name)}`,
    `listen: ${quote(address(listen))}`,
    `pid_file: ${quote(files.pid)}`,
    `log_file: ${quote(files.log)}`,
    `logfile_size_limit: ${logBytes}`,
    "logfile_max_num: 2",
    `max_payload: ${maxPayloadBytes}`,
    `max_pending: ${maxPendingBytes}`,
    'write_deadline: "10s"',
    'ping_interval: "5s"',
    "ping_max: 2",
    "jetstream {",
    `  store_dir: ${quote(files.store)}`,
    `  max_file_store: ${storeBytes}`,
    `  max_memory_store: ${memoryStoreBytes}`,
    `  sync_interval: ${quote(sync)}`,
    "}",
    ...secure,
    ...(cluster
      ? [
          "cluster {",
          "  name: farcall",
          // A seat that went without a word is asked for outcomes until its route is closed, after three of these.
          '  ping_interval: "2s"',
          "  ping_max: 2",
          `  listen: ${quote(address(cluster))}`,
          `  routes: [${cluster.seats.map((seat) => quote(`nats-route://${seat}`)).join(", ")}]`,
          ...secure.map(indent),
          "}",
        ]
      : []),
    ...(users
      ? [
          "accounts {",
          `  FARCALL { jetstream: enabled, users: [${users.map(userEntry).join(", ")}] }`,
          "  SYS { users: [] }",
          "}",
          "system_account: SYS",
        ]
      : []),
  ];
  return `${lines.join("\n")}\n`;
}

function userEntry({ nkey, role, inboxPrefix = "_INBOX", also }: BrokerUser): string {
  if (role === "owner") return `{ nkey: ${nkey} }`;
  const publish = [...agentSubjects, ...(also?.publish ?? [])].map(quote).join(", ");
  const subscribe = [`${inboxPrefix}.>`, "$JS.EVENT.ADVISORY.*.LEADER_ELECTED.>", ...(also?.subscribe ?? [])]
    .map(quote)
    .join(", ");
  return `{ nkey: ${nkey}, permissions: { publish: [${publish}], subscribe: [${subscribe}] } }`;
}

function address({ host, port }: { host: string; port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

const quote = (value: string): string => JSON.stringify(value);
const indent = (line: string): string => `  ${line}`;
