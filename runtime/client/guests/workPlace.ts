import { FarcallError } from "../../spec/errors.ts";
import type { RemoteModule } from "../module.ts";
import type { Session } from "../session.ts";

/** A cluster, as a map sees it that several work on. */
export interface WorkPlace {
  readonly name: string;
  /** `FARCALL_HOME` it is known in: with the name it says which cluster this is. */
  readonly home: string;
  /** The module on this cluster: the same code in an env of the same description. Nothing is sent yet. */
  bring(module: RemoteModule): RemoteModule;
}

/** Another cluster that works on a map, and what it is called there. */
export interface GuestPlace {
  name: string;
  session: Session;
  /** Makes sure that it has the code; once more when it may not be what it was. */
  ready(signal: AbortSignal, isAgain: boolean): Promise<unknown>;
}

/** One that a program or a person has named. */
interface ChosenPlace extends GuestPlace {
  module: RemoteModule;
  /** Whoever knows the map's home by its name knows this one by its own. */
  isNamed: boolean;
}

/**
 * The clusters of `on` but the map's home, in their order. Throws `usage` when one is named twice. Two clusters of one
 * name, from different homes of Farcall, are told apart by a number.
 */
export function guestPlaces(
  on: readonly (string | WorkPlace)[],
  home: WorkPlace | undefined,
  named: ((name: string) => WorkPlace) | undefined,
  module: RemoteModule,
): ChosenPlace[] {
  const seen = new Set<string>();
  const names = new Map<string, number>(home ? [[home.name, 1]] : []);
  const places = on.map((each) => {
    if (typeof each !== "string") return each;
    if (named) return named(each);
    throw new FarcallError("usage", `The cluster ${each} cannot be found by its name here.`);
  });
  return places.flatMap((place) => {
    const key = JSON.stringify([place.home, place.name]);
    if (seen.has(key)) {
      throw new FarcallError("usage", `A map is to run on the cluster ${place.name} twice.`, {
        hint: "Name each cluster once.",
      });
    }
    seen.add(key);
    if (home && place.name === home.name && place.home === home.home) return [];
    const nth = (names.get(place.name) ?? 0) + 1;
    names.set(place.name, nth);
    const name = nth === 1 ? place.name : `${place.name}#${nth}`;
    const there = place.bring(module);
    const ready = (signal: AbortSignal, isAgain: boolean) => (isAgain ? there.reload(signal) : there.load());
    return [{ name, isNamed: place.home === home?.home, module: there, session: there.session, ready }];
  });
}
