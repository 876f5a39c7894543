import { JetStreamQueue } from "../../runtime/queue/jetstream/queue.ts";
import { queueConformance } from "../support/queueConformance.ts";
import { sharedBroker } from "../support/natsServer.ts";

const broker = await sharedBroker();

queueConformance("JetStream", async (dir, limits) => {
  await broker.use(dir);
  return JetStreamQueue.open({ servers: broker.servers, ...limits });
});
