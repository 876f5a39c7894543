import { it } from "vitest";
import { describeInLab } from "../lab/describeInLab.ts";
import { expectNothingLeft, logInAndOut } from "../support/ssh.ts";

describeInLab("SSH connections", (lab) => {
  it("are opened and closed 1,000 times, and leave nothing", async () => {
    const machine = await lab().machine();
    await expectNothingLeft(machine, () => logInAndOut(lab(), machine, 1_000));
  });
});
