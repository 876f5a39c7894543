/** Resolves for all who come when the last of so many has come; rejects for all when one cannot. */
export function meeting(count: number): { (): Promise<void>; fail(error: unknown): void } {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => undefined);
  let missing = count;
  const come = () => {
    if (--missing === 0) resolve();
    return promise;
  };
  return Object.assign(come, { fail: reject });
}
