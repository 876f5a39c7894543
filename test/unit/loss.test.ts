import { expect, it } from "vitest";
import { isAway, isConnectionLoss } from "../../runtime/client/loss.ts";
import { type ErrorCode, FarcallError } from "../../runtime/spec/errors.ts";

/** What is waited for, and what a cluster is forgotten for where somebody insists. */
const codes = (is: (error: unknown) => boolean, ...all: ErrorCode[]) =>
  all.filter((code) => is(new FarcallError(code, "No.")));

it("is a loss where machines do not answer, and away also where they let nobody in", () => {
  const losses = ["connection.lost", "agent.unreachable", "ssh.unreachable", "ssh.timeout", "ssh.refused"] as const;
  const refusals = ["ssh.auth", "ssh.host-key-changed", "ssh.host-key-unknown"] as const;
  const others = ["agent.version", "run.state", "node.install-failed", "cluster.busy"] as const;
  expect(codes(isConnectionLoss, ...losses, ...refusals, ...others)).toEqual(losses);
  expect(codes(isAway, ...losses, ...refusals, ...others)).toEqual([...losses, ...refusals]);
  expect(isAway(new Error("connection.lost"))).toBe(false);
});
