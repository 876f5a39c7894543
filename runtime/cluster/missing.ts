import { isConnectionLoss } from "../client/loss.ts";
import { FarcallError, messageOf } from "../spec/errors.ts";
import type { Failure } from "./machines.ts";
import { isNew } from "./recordChanges.ts";
import type { ClusterRecord } from "./registry.ts";

/**
 * Throws when a cluster cannot come up without the machines that failed: a new one among them, most of its seats, or
 * all there are.
 */
export function refuseWithout({ name, nodes, seats }: ClusterRecord, failed: readonly Failure[]): void {
  const fresh = failed.filter(({ node }) => isNew(node));
  if (fresh.length > 0) throw failureOf(fresh);
  const lost = failed.filter(({ node }) => seats.includes(node.number));
  const most = Math.floor(seats.length / 2) + 1;
  if (seats.length > 1 && seats.length - lost.length < most) {
    throw new FarcallError(
      "node.unreachable",
      `The cluster ${name} needs ${most} of the ${seats.length} machines that hold its queue, and of these ${listed(lost)}`,
      { cause: lost[0]!.error, hint: hintOf(lost[0]!.error, startThem) },
    );
  }
  if (seats.length === 1 && lost.length > 0) {
    throw new FarcallError(
      "node.unreachable",
      `The cluster ${name} needs the machine that holds its queue: ${listed(lost)}`,
      { cause: lost[0]!.error, hint: hintOf(lost[0]!.error, startThem) },
    );
  }
  if (failed.length === nodes.length) throw failureOf(failed);
}

/** One error for all that failed, with the code and the hint of one that a person can do something about. */
export function failureOf(failed: readonly Failure[]): unknown {
  const telling = failed.find(({ error }) => !isConnectionLoss(error)) ?? failed[0]!;
  if (failed.length === 1 || !(telling.error instanceof FarcallError)) return telling.error;
  return new FarcallError(telling.error.code, `${failed.length} hosts failed. ${listed(failed)}`, {
    cause: telling.error,
    hint: hintOf(telling.error, startThem),
  });
}

function listed(failed: readonly Failure[]): string {
  return failed.map(({ node, error }) => `${node.host}: ${messageOf(error)}`).join(" ");
}

const startThem = "Start them, then `up` goes on from there.";

function hintOf(error: unknown, otherwise: string): string {
  return (error instanceof FarcallError ? error.hint : undefined) ?? otherwise;
}

/** A line for whoever brings a cluster up, on a machine it goes on without. */
export function missingLine(host: string, error: unknown): string {
  const todo = hintOf(error, "When it is back, `up` brings it in again.");
  return `${host} is left out: ${messageOf(error)} ${todo}`;
}
