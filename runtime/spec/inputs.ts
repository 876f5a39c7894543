/** What a function is mapped over: anything that gives values one after another. */
export type Inputs<T> = Iterable<T> | AsyncIterable<T>;
