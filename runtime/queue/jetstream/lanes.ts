/** Does `work` for the numbers from `first` up to, not including, `end`, in their order and at most `atOnce` at a time. */
export async function inLanes(
  first: number,
  end: number,
  atOnce: number,
  work: (at: number) => Promise<void>,
): Promise<void> {
  let next = first;
  const lane = async (): Promise<void> => {
    while (next < end) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, end - first) }, lane));
}
