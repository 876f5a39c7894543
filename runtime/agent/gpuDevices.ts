import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Names the devices that replicas may have, for machines where they are not found, or not all are to be used. */
const devicesVariable = "FARCALL_GPUS";
const driverFolder = "/proc/driver/nvidia/gpus";
const toolTimeoutMs = 10_000;
const uuidPattern = /GPU-[0-9a-f]{8}(?:-[0-9a-f]+)+/;

/** The GPUs of this machine, as `CUDA_VISIBLE_DEVICES` names them; of those only where the agent itself has that set. */
export async function gpuDevices(env: NodeJS.ProcessEnv = process.env): Promise<string[]> {
  const named = env[devicesVariable] ?? env["CUDA_VISIBLE_DEVICES"];
  if (named !== undefined) return [...new Set(named.split(",").map((device) => device.trim()))].filter(isDevice);
  const ofDriver = await driversOwn();
  return ofDriver.length > 0 ? ofDriver : toolsList();
}

/** CUDA takes `-1`, or nothing, for none. */
function isDevice(device: string): boolean {
  return device !== "" && !device.startsWith("-");
}

async function driversOwn(): Promise<string[]> {
  const folders = await readdir(driverFolder).catch(() => []);
  const texts = await Promise.all(
    folders.map((folder) => readFile(join(driverFolder, folder, "information"), "utf8").catch(() => "")),
  );
  return texts.map(deviceName);
}

/** Where the driver does not say, as in Windows' Linux, NVIDIA's own tool lists them, one a line. */
function toolsList(): Promise<string[]> {
  return new Promise((resolve) => {
    execFile("nvidia-smi", ["-L"], { timeout: toolTimeoutMs }, (error, stdout) => {
      const lines = error ? [] : stdout.split("\n").filter((line) => line.startsWith("GPU "));
      resolve(lines.map(deviceName));
    });
  });
}

/** Its UUID, which means the same to every program, else its place. */
function deviceName(text: string, at: number): string {
  return uuidPattern.exec(text)?.[0] ?? String(at);
}
