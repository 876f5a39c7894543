/** The two consumers of a job, each of which gives a chunk to one process at a time. */
import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { Connection } from "./connection.ts";
import { consumerNames } from "./leases.ts";
import { streams, subjects } from "./streams.ts";

const maxLeased = 20_000;
const maxPulls = 4_096;

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
