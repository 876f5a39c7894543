import type { ModuleRef } from "../../protocol/messages/code.ts";
import { FarcallError, messageOf } from "../../spec/errors.ts";
import type { Asking } from "../asking.ts";
import type { Session } from "../session.ts";
import { sync } from "../sync.ts";
import { type GuestOptions, Guests } from "./guest.ts";

/** How a run's cluster is called, and how others are found by their names. */
export interface Neighbours {
  homeName: string;
  /** Throws `cluster.unknown`. */
  sessionOf: (name: string) => Session;
}

/**
 * Has clusters that a map was to run on as well work on it again. While another process brings one of them its work,
 * that goes on, and this process is there for when it ends.
 *
 * The code comes from the home. So which clusters run it is the word of whoever asks for this, never the home's; and this
 * computer runs none that comes from other machines.
 */
export async function resumeGuests(
  home: Asking,
  run: string,
  names: readonly string[],
  { homeName, sessionOf }: Neighbours,
  onWarning: (line: string) => void,
): Promise<Guests> {
  const { spec } = (await home.insist(() => home.request("map.spec", { run }))).value;
  const guests = names.flatMap((name): GuestOptions[] => {
    try {
      if (!spec.guests?.includes(name)) throw new FarcallError("usage", `the map was not begun on it.`);
      if (name === "local") throw new FarcallError("usage", `its code would come from ${homeName}.`);
      const session = sessionOf(name);
      const ready = (signal: AbortSignal) => bring(home, session, spec.module, signal);
      return [{ place: { name, session, ready }, home, homeName, run, spec, waits: true, onWarning }];
    } catch (error) {
      onWarning(`${name} does not work on the map: ${messageOf(error)}`);
      return [];
    }
  });
  return new Guests(guests);
}

/** Brings the code of a map from its home to another cluster, which readies the env. */
async function bring(home: Asking, session: Session, module: ModuleRef, signal: AbortSignal): Promise<void> {
  const hashes = module.bundle.files.map(({ hash }) => hash);
  await sync(session, hashes, async (hash) => (await home.request("file.get", { hash }, { signal })).body, { signal });
  const loading = session.stream("module.load", { module }, { signal });
  while (!(await loading.next()).done);
}
