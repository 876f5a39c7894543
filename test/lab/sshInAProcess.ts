/** An SSH connection in a process of its own, for the tests on when that ends. Arguments: target, trust, what to do. */
import { SshConnection } from "../../runtime/transport/ssh/connection.ts";
import type { HostKeyTrust } from "../../runtime/transport/ssh/hostKeys.ts";
import { setReferenced } from "../../runtime/transport/stream.ts";
import type { SshTarget } from "../../runtime/transport/ssh/target.ts";

const [target = "", hostKeys = "", stream = ""] = process.argv.slice(2);
const connection = await SshConnection.open(JSON.parse(target) as SshTarget, {
  hostKeys: JSON.parse(hostKeys) as HostKeyTrust,
});
const { stdout } = await connection.run("sleep 0.5; echo done");
process.stdout.write(stdout);
if (stream !== "none") {
  const dialled = await connection.dialTcp("127.0.0.1", 22);
  if (stream === "unref") setReferenced(dialled, false);
}
