import { describe, expect, it } from "vitest";
import { gpuDevices } from "../../runtime/agent/gpuDevices.ts";
import { Gpus } from "../../runtime/agent/gpus.ts";

const { signal } = new AbortController();

describe("the GPUs of a node", () => {
  it("are each held by one replica, and waited for in turn", async () => {
    const gpus = new Gpus(["a", "b", "c"]);
    const one = await gpus.take(1, signal);
    const two = await gpus.take(2, signal);
    expect([...one.devices, ...two.devices].sort()).toEqual(["a", "b", "c"]);
    const order: string[] = [];
    const both = gpus.take(2, signal).then((lease) => (order.push("both"), lease));
    const single = gpus.take(1, signal).then((lease) => (order.push("single"), lease));
    expect(gpus.isAwaited).toBe(true);
    one.giveBack();
    await new Promise(setImmediate);
    // One that asks for more is not passed by those who would do with less.
    expect(order).toEqual([]);
    two.giveBack();
    two.giveBack();
    expect([...(await both).devices, ...(await single).devices].sort()).toEqual(["a", "b", "c"]);
    expect(gpus.isAwaited).toBe(false);
  });

  it("are shared by those who want a part of one", async () => {
    const gpus = new Gpus(["a", "b"]);
    const thirds = await Promise.all([1, 2, 3, 4].map(() => gpus.take(1 / 3, signal)));
    expect(thirds.map(({ devices }) => devices.join())).toEqual(["a", "a", "a", "b"]);
    void gpus.take(0.7, signal);
    expect(gpus.isAwaited).toBe(true);
  });

  it("are left to others by who no longer waits, and are no more than there are", async () => {
    const gpus = new Gpus(["a"]);
    const held = await gpus.take(1, signal);
    const stop = new AbortController();
    const waiting = gpus.take(1, stop.signal);
    const next = gpus.take(1, signal);
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    held.giveBack();
    expect((await next).devices).toEqual(["a"]);
    await expect(gpus.take(1.5, signal)).rejects.toMatchObject({ code: "spec.invalid" });
    await expect(new Gpus([]).take(0.1, signal)).rejects.toMatchObject({ code: "spec.invalid" });
  });

  it("are those that the agent is told of, or may itself use", async () => {
    expect(await gpuDevices({ FARCALL_GPUS: "0, 2,GPU-1,2", CUDA_VISIBLE_DEVICES: "7" })).toEqual(["0", "2", "GPU-1"]);
    expect(await gpuDevices({ FARCALL_GPUS: "" })).toEqual([]);
    expect(await gpuDevices({ CUDA_VISIBLE_DEVICES: "-1" })).toEqual([]);
    expect(await gpuDevices({ CUDA_VISIBLE_DEVICES: "3,1" })).toEqual(["3", "1"]);
  });
});
