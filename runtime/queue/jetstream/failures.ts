/**
 * What an error of the broker means. Decided by class and numeric code, never by text.
 * Codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json
 */
import { errors } from "@nats-io/transport-node";
import { JetStreamApiError } from "@nats-io/jetstream";
import { FarcallError, messageOf } from "../../spec/errors.ts";

export type Failure =
  /** Nothing is known of the request: it may or may not have been done. */
  | "unknown"
  /** The guard found a message on the subject, or another sequence than was expected. */
  | "guard"
  /** The stream refuses one more message: it is full, or holds its one message of the subject. */
  | "refused"
  /** The server's storage is used up. */
  | "storage"
  | "no-stream"
  | "no-consumer"
  /** This connection was closed by its owner. */
  | "closed"
  | "denied"
  | "other";

const failures: Record<number, Failure> = {
  10014: "no-consumer",
  10005: "storage",
  10023: "storage",
  10028: "storage",
  10047: "storage",
  10059: "no-stream",
  10071: "guard",
  10077: "refused",
  // A write of the subject is on its way, too many requests, or the group has no leader: the same may succeed soon.
  10003: "unknown",
  10008: "unknown",
  10009: "unknown",
  10074: "unknown",
  10164: "unknown",
  10167: "unknown",
};

export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof JetStreamApiError) {
    return failures[thrown.code] ?? (thrown.status === 503 ? "unknown" : "other");
  }
  if (!(thrown instanceof Error)) return "other";
  for (let error: unknown = thrown; error instanceof Error; error = error.cause) {
    if (error instanceof errors.PermissionViolationError || error instanceof errors.AuthorizationError) return "denied";
    if (error instanceof errors.ClosedConnectionError || error instanceof errors.DrainingConnectionError)
      return "closed";
  }
  if (thrown instanceof errors.InvalidArgumentError || thrown instanceof errors.InvalidSubjectError) return "other";
  // Time-outs, cut connections and missing responders, as whatever class they come.
  return "unknown";
}

/** Any error as one of Farcall's own. */
export function asQueueError(thrown: unknown): FarcallError {
  if (thrown instanceof FarcallError) return thrown;
  const why = messageOf(thrown);
  switch (failureOf(thrown)) {
    case "storage":
    case "refused":
      return new FarcallError("disk.full", `The cluster's queue cannot store any more: ${why}.`, {
        cause: thrown,
        retryable: true,
        hint: "Delete runs that are no longer needed, or give the machines that hold the queue more disk.",
      });
    case "closed":
      return closedError(thrown);
    case "denied":
      return new FarcallError("agent.auth", `The cluster's queue refused this: ${why}.`, {
        cause: thrown,
        hint: "The credentials of this node are not, or no longer, those of the cluster.",
      });
    case "unknown":
      return new FarcallError("connection.lost", `The cluster's queue does not answer: ${why}.`, {
        cause: thrown,
        retryable: true,
        hint: "It is tried again by itself; check that the machines that hold the queue are up.",
      });
    default:
      return new FarcallError("internal", `The cluster's queue failed: ${why}.`, { cause: thrown });
  }
}

export function closedError(cause?: unknown): FarcallError {
  return new FarcallError("agent.stopping", "The queue is closed.", { cause, retryable: true });
}
