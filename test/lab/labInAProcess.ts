/** A lab in a process of its own, for the test that kills it. */
import { Lab } from "./lab.ts";

const lab = await Lab.start();
const machine = await lab.machine();
// Even what wants to outlive its session does not outlive the machine.
await machine.do("setsid sleep 4321 > /dev/null 2>&1 < /dev/null & true");
process.stdout.write(`${JSON.stringify({ folder: lab.folder, traces: lab.leftovers() })}\n`);
setInterval(() => undefined, 60_000);
