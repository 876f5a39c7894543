/** The two consumers of a job, each of which gives a chunk to one process at a time. */
import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { Connection } from "./connection.ts";
import { consumerNames } from "./leases.ts";
import { streams, subjects } from "./streams.ts";

const maxLeased = 20_000;
const maxPulls = 4_096;

/**
 * Removes those that hold back what they could give: some versions of the broker have had consumers that stopped for
 * ever. What they had given to others comes again then, which costs work and no outcome. Returns whether there were any.
 */
export async function removeStuck(connection: Connection, key: string): Promise<boolean> {
  const { consumers } = connection.manager;
  const removed = await Promise.all(
    Object.values(consumerNames(key)).map(async (name) => {
      const { num_pending: ready, num_ack_pending: leased } = await consumers.info(streams.work, name);
      return ready > 0 && leased < maxLeased && (await consumers.delete(streams.work, name));
    }),
  );
  return removed.includes(true);
}

/** Makes those that are missing. */
export async function ensureConsumers(connection: Connection, key: string, leaseMs: number): Promise<void> {
  const { fresh, children } = consumerNames(key);
  const ensure = (name: string, filter: string): Promise<unknown> =>
    connection.persist(() =>
      connection.manager.consumers.add(streams.work, {
        durable_name: name,
        filter_subject: filter,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        ack_wait: nanos(leaseMs),
        max_deliver: -1,
        max_ack_pending: maxLeased,
        max_waiting: maxPulls,
      }),
    );
  await Promise.all([ensure(fresh, subjects.fresh(key)), ensure(children, subjects.child(key))]);
}
