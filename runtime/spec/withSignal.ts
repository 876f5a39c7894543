/** The promise, or the signal's reason if that comes first. What was promised goes on all the same. */
export async function withSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([promise, aborted.promise]);
  } catch (error) {
    promise.catch(() => undefined);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
