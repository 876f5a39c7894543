export const noop = (x: number): number => x;
