import { useEffect, useReducer, useState } from "preact/hooks";

/** Something that tells when it has changed. */
export class Observable {
  readonly #observers = new Set<() => void>();

  observe(observer: () => void): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  protected changed(): void {
    for (const observer of this.#observers) observer();
  }
}

/** Draws the component again whenever the source has changed. */
export function useObservable(source: Observable): void {
  const [, redraw] = useReducer((version: number) => version + 1, 0);
  useEffect(() => source.observe(() => redraw(undefined)), [source]);
}

/** The time, anew each second while `ticking`. */
export function useNow(ticking: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!ticking) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [ticking]);
  return now;
}
