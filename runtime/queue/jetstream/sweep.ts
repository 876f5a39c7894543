/** Removes what jobs that are over have left in the stream of work: whoever ended them may have died over it. */
import type { RunId } from "../../spec/names.ts";
import type { Connection } from "./connection.ts";
import { failureOf } from "./failures.ts";
import { consumerNames, keyOfConsumer } from "./leases.ts";
import { streams, subjects } from "./streams.ts";

/** Ends the work of a job; what is gone already is no error. */
export async function removeWork(connection: Connection, key: string): Promise<void> {
  const { consumers, streams: api } = connection.manager;
  const names = Object.values(consumerNames(key));
  await Promise.all([
    ...names.map((name) => unlessGone(connection.persist(() => consumers.delete(streams.work, name)))),
    connection.persist(() => api.purge(streams.work, { filter: subjects.work(key) })),
    connection.persist(() => api.purge(streams.blobs, { filter: subjects.inputBlobs(key) })),
  ]);
}

/** Removes all that is stored of a job but its record. */
export async function removeOutcomes(connection: Connection, key: string): Promise<void> {
  const { streams: api } = connection.manager;
  const purge = (stream: string, filter: string): Promise<unknown> =>
    connection.persist(() => api.purge(stream, { filter }));
  await Promise.all([
    removeWork(connection, key),
    purge(streams.outcomes, subjects.outcomes(key)),
    purge(streams.outcomes, subjects.acceptances(key)),
    purge(streams.blobs, subjects.blobs(key)),
  ]);
}

/** `isLive` is asked about every job that has work or consumers. */
export async function sweepWork(
  connection: Connection,
  isLive: (id: RunId, key: string) => Promise<boolean>,
): Promise<void> {
  const { manager } = connection;
  const keys = new Set<string>();
  const { state } = await manager.streams.info(streams.work, { subjects_filter: subjects.work("*") });
  for (const subject of Object.keys(state.subjects ?? {})) keys.add(subject.split(".")[1]!);
  for await (const { name } of manager.consumers.list(streams.work)) keys.add(keyOfConsumer(name));
  for (const key of keys) {
    if (!(await isLive(idOfKey(key), key))) await removeWork(connection, key);
  }
}

export function makeKey(id: RunId, nonce: string): string {
  return `${id}_${nonce}`;
}

function idOfKey(key: string): RunId {
  return key.slice(0, key.lastIndexOf("_"));
}

async function unlessGone(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (failureOf(error) !== "no-consumer") throw error;
  }
}
