import { describe } from "vitest";
import { JetStreamQueue } from "../../runtime/queue/jetstream/queue.ts";
import { sharedBroker } from "../support/natsServer.ts";
import { queueSettleTests } from "../support/queueSettleTests.ts";
import { share } from "./chance.ts";

const broker = await sharedBroker(3);

describe("the JetStream queue on three seats", () => {
  queueSettleTests(
    async (dir, limits) => {
      await broker.use(dir);
      return JetStreamQueue.open({ servers: broker.servers, replicas: 3, ...limits });
    },
    { chunks: 20_000 * share },
  );
});
