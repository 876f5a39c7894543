import { JetStreamQueue } from "../../runtime/queue/jetstream/queue.ts";
import { sharedBroker } from "../support/natsServer.ts";
import { queueConformance } from "../support/queueConformance.ts";

/** One seat, or with FARCALL_TEST_SEATS=3 three, which takes twice as long. */
const replicas = process.env["FARCALL_TEST_SEATS"] === "3" ? 3 : 1;
const broker = await sharedBroker(replicas);

queueConformance(
  "JetStream",
  async (dir, limits) => {
    await broker.use(dir);
    return JetStreamQueue.open({ servers: broker.servers, replicas, ...limits });
  },
  // With more of them, and on three seats, it is one of the tests with faults.
  { chunks: 5_000 },
);
