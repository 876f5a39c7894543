import { createRequire } from "node:module";

const [modules, path] = process.argv.slice(2);
const { Worker } = createRequire(`${modules}/`)("bullmq");
const worker = new Worker("bench", async ({ data }) => data, { connection: { path }, concurrency: 100 });
await worker.waitUntilReady();
process.send("ready");
process.on("disconnect", () => process.exit());
