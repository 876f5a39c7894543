/** A link that can be cut. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface LooseLink {
  server: string;
  /** Cuts every connection; new ones are taken at once. */
  cut(): void;
  close(): Promise<void>;
}

/** A port of its own that leads to another one. */
export async function looseLink(server: string): Promise<LooseLink> {
  const target = Number(new URL(server).port);
  const open = new Set<Socket>();
  const listener = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const cut = (): void => {
    for (const socket of open) socket.resetAndDestroy();
  };
  return {
    server: `nats://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    cut,
    close: async () => {
      cut();
      await once(listener.close(), "close");
    },
  };
}
