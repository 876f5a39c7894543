import { Worker } from "node:worker_threads";

/**
 * Ends this process soon after the one that started it is gone, however that died, and even while code here does not
 * give way: a thread of its own looks.
 */
export function endWithParent(): void {
  new Worker(watch, { eval: true, workerData: process.ppid }).unref();
}

const watch = `
const parent = require("node:worker_threads").workerData;
setInterval(() => {
  let isThere = process.ppid === parent;
  try {
    // On Windows a process keeps the number of its parent.
    process.kill(parent, 0);
  } catch (error) {
    isThere &&= error.code === "EPERM";
  }
  if (!isThere) process.kill(process.pid, "SIGKILL");
}, 500);
`;
