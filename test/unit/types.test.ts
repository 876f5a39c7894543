import { expectTypeOf, test } from "vitest";
import type { MapOutcome, MapRun, Remote } from "farcall";

/** What the compiler makes of remote functions; `npm run verify` fails where this does not hold. */

interface Module {
  add(a: number, b?: number): number;
  later(url: string): Promise<{ size: number }>;
  stream(n: number): AsyncGenerator<Date, void>;
  list(n: number): Generator<string>;
  constant: number;
}

test("remote functions take what the originals take and give promises or streams of what those give", () => {
  expectTypeOf<keyof Remote<Module>>().toEqualTypeOf<"add" | "later" | "stream" | "list">();
  const remote = {} as Remote<Module>;
  expectTypeOf(remote.add).parameters.toEqualTypeOf<[a: number, b?: number]>();
  expectTypeOf<ReturnType<typeof remote.add>>().toEqualTypeOf<Promise<number>>();
  expectTypeOf<ReturnType<typeof remote.later>>().toEqualTypeOf<Promise<{ size: number }>>();
  expectTypeOf<ReturnType<typeof remote.stream>>().toEqualTypeOf<AsyncGenerator<Date, void, undefined>>();
});

test("a map takes the first argument's type and gives the result's", () => {
  const later = {} as Remote<Module>["later"];
  expectTypeOf(later.map).parameter(0).toEqualTypeOf<Iterable<string> | AsyncIterable<string>>();
  expectTypeOf<ReturnType<typeof later.map>>().toEqualTypeOf<MapRun<{ size: number }>>();
  expectTypeOf<MapOutcome<number>>().toExtend<{ index: number }>();
  const list = {} as Remote<Module>["list"];
  expectTypeOf<ReturnType<typeof list.map>>().toEqualTypeOf<MapRun<string[]>>();
});
