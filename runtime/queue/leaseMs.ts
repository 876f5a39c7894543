const defaultMs = 30_000;
const shortestMs = 1_000;

/**
 * How long a chunk stays with whoever leased it without a word. The variable is for tests on what happens after that.
 */
export const leaseMs = Math.max(shortestMs, Number(process.env["FARCALL_LEASE_MS"]) || defaultMs);
