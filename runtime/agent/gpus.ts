import { FarcallError } from "../spec/errors.ts";

/** What a replica holds until it is given back. */
export interface GpuLease {
  /** As `CUDA_VISIBLE_DEVICES` names them. */
  devices: string[];
  giveBack(): void;
}

interface Waiting {
  gpus: number;
  give(lease: GpuLease): void;
}

/**
 * The GPUs of a node, each of which has one unit to give. A replica that asks for less than one shares a device with
 * others that do; one that asks for more has so many whole ones.
 */
export class Gpus {
  /** By device, how much of it is free. */
  readonly #free: Map<string, number>;
  readonly #waiting: Waiting[] = [];

  constructor(devices: readonly string[]) {
    this.#free = new Map(devices.map((device) => [device, 1]));
  }

  get count(): number {
    return this.#free.size;
  }

  /** Somebody waits for what others hold. */
  get isAwaited(): boolean {
    return this.#waiting.length > 0;
  }

  /** Waits until it is free, behind whoever waits already. Throws `spec.invalid` where there is not so much at all. */
  async take(gpus: number, signal: AbortSignal): Promise<GpuLease> {
    signal.throwIfAborted();
    if (gpus > this.count) throw new FarcallError("spec.invalid", `This node has ${this.count} GPUs, not ${gpus}.`);
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason as Error);
      };
      const give = (lease: GpuLease) => {
        signal.removeEventListener("abort", leave);
        resolve(lease);
      };
      const waiting = { gpus, give };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(waiting);
      this.#serve();
    });
  }

  #serve(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const lease = this.#lease(next.gpus);
      if (!lease) return;
      this.#waiting.shift();
      next.give(lease);
    }
  }

  #lease(gpus: number): GpuLease | undefined {
    const share = Math.min(1, gpus);
    const wanted = Math.ceil(gpus);
    // The fullest that have room, so that others stay whole.
    const devices = [...this.#free]
      .filter(([, free]) => free >= share - tolerance)
      .sort(([, a], [, b]) => a - b)
      .slice(0, wanted)
      .map(([device]) => device);
    if (devices.length < wanted) return undefined;
    this.#add(devices, -share);
    let held = true;
    const giveBack = () => {
      if (!held) return;
      held = false;
      this.#add(devices, share);
      this.#serve();
    };
    return { devices, giveBack };
  }

  #add(devices: readonly string[], share: number): void {
    for (const device of devices) this.#free.set(device, this.#free.get(device)! + share);
  }
}

/** Three thirds are a whole. */
const tolerance = 1e-6;
