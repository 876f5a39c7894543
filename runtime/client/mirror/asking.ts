import { type FileHandle, open, readFile } from "node:fs/promises";
import type { AgentMethods } from "../../protocol/messages/agent.ts";
import type { Item, Params, Result } from "../../protocol/messages/catalogue.ts";
import type { LogLine } from "../../protocol/messages/logs.ts";
import { pickStored } from "../../protocol/pick.ts";
import type { Received } from "../../protocol/rpc.ts";
import { FarcallError } from "../../spec/errors.ts";
import { FollowedLogs } from "../followedLogs.ts";
import { Patience } from "../loss.ts";
import type { Asking } from "../asking.ts";
import { type PiecePlace, readBytes, readPlaces } from "./pieces.ts";
import type { KeptRun, MirrorStore } from "./store.ts";

type OutcomeHeader = Item<AgentMethods["map.outcomes"]>;

const batchLines = 500;
const empty = new Uint8Array();

/** Answers what is asked of a run that is kept on this machine, in place of the agent that had it. */
export class MirrorAsking implements Asking {
  readonly isLooking = true;
  readonly followed = new FollowedLogs();
  readonly #store: MirrorStore;
  readonly #kept: KeptRun;
  #places: PiecePlace<OutcomeHeader>[] | undefined;

  constructor(store: MirrorStore, kept: KeptRun) {
    this.#store = store;
    this.#kept = kept;
  }

  request: Asking["request"] = async (method, params) => {
    const answer = await this.#answer(method, params);
    return answer as Received<Result<AgentMethods[typeof method]>>;
  };

  stream: Asking["stream"] = (method, params) => {
    if (method === "map.outcomes") return this.#outcomes(params as never) as never;
    if (method === "run.logs") return this.#logs(params as never) as never;
    if (method === "run.watch") return this.#watch() as never;
    throw notKept(method);
  };

  withRetry<T>(act: (patience: Patience) => Promise<T>): Promise<T> {
    return act(this.patience());
  }

  insist<T>(act: () => Promise<T>): Promise<T> {
    return act();
  }

  patience(): Patience {
    return new Patience({ withinMs: () => 0 });
  }

  runEnded(): void {
    // It is kept already.
  }

  #answer(method: keyof AgentMethods, params: object): Promise<Received<unknown>> {
    const { record } = this.#kept;
    switch (method) {
      case "run.get":
        return Promise.resolve({ value: { record }, body: empty });
      case "run.result":
        return this.#piece("result");
      case "run.request":
        return this.#piece("request");
      case "run.timeline":
        return this.#piece("timeline");
      case "bundle.get":
        return this.#piece("bundle");
      case "file.get":
        return this.#piece(`file-${(params as Params<AgentMethods["file.get"]>).hash}`);
      case "map.pick":
        return this.#pick(params as Params<AgentMethods["map.pick"]>);
      case "run.control":
        throw new FarcallError("run.state", `The run ${record.id} has ended.`);
      default:
        throw notKept(method);
    }
  }

  async #piece(name: string): Promise<Received<unknown>> {
    const file = await open(this.#store.file(this.#kept.record.id, name)).catch(() => undefined);
    if (!file) throw notKept(name);
    await using opened = file;
    const [place] = await readPlaces(opened);
    if (!place) throw notKept(name);
    return { value: place.header, body: await readBytes(opened, place.at, place.bytes) };
  }

  async *#outcomes(
    query: Params<AgentMethods["map.outcomes"]>,
  ): AsyncGenerator<Received<OutcomeHeader>, Received<Result<AgentMethods["map.outcomes"]>>, undefined> {
    const { record } = this.#kept;
    await using file = await this.#openOutcomes();
    const { order, from } = query;
    const wanted = ({ header: { lo, count, sequence } }: PiecePlace<OutcomeHeader>) =>
      order === "index" ? lo + count > from : sequence > from;
    const places = (await this.#outcomePlaces(file)).filter(wanted);
    if (order === "settled") places.sort((a, b) => a.header.sequence - b.header.sequence);
    for (const { header, at, bytes } of places) yield { value: header, body: await readBytes(file, at, bytes) };
    return { value: { record }, body: empty };
  }

  async #pick(wanted: Params<AgentMethods["map.pick"]>): Promise<Received<Result<AgentMethods["map.pick"]>>> {
    await using file = await this.#openOutcomes();
    const places = await this.#outcomePlaces(file);
    const readRange = async (index: number) => {
      const place = places.find(({ header: { lo, count } }) => lo + count > index);
      return place && { lo: place.header.lo, body: await readBytes(file, place.at, place.bytes) };
    };
    const { result, body = empty } = await pickStored(readRange, wanted);
    return { value: result, body };
  }

  #openOutcomes(): Promise<FileHandle> {
    return open(this.#store.file(this.#kept.record.id, "outcomes")).catch(() => {
      throw notKept("outcomes");
    });
  }

  /** By index, as they are kept. What is kept of a run does not change, so it is read once. */
  async #outcomePlaces(file: FileHandle): Promise<PiecePlace<OutcomeHeader>[]> {
    return (this.#places ??= await readPlaces<OutcomeHeader>(file));
  }

  async *#logs({
    tail,
  }: Params<AgentMethods["run.logs"]>): AsyncGenerator<
    Received<Item<AgentMethods["run.logs"]>>,
    Received<object>,
    undefined
  > {
    const text = await readFile(this.#store.file(this.#kept.record.id, "log"), "utf8").catch(() => "");
    const lines = text.split("\n").filter((line) => line !== "");
    const skipped = tail === undefined ? 0 : Math.max(0, lines.length - tail);
    if (tail !== undefined) yield { value: { lines: [], skipped }, body: empty };
    for (let at = skipped; at < lines.length; at += batchLines) {
      const batch = lines.slice(at, at + batchLines).map((line) => JSON.parse(line) as LogLine);
      yield { value: { lines: batch }, body: empty };
    }
    return { value: {}, body: empty };
  }

  async *#watch(): AsyncGenerator<Received<Item<AgentMethods["run.watch"]>>, Received<object>, undefined> {
    yield await Promise.resolve({ value: { record: this.#kept.record }, body: empty });
    return { value: {}, body: empty };
  }
}

function notKept(what: string): FarcallError {
  return new FarcallError(
    "agent.unreachable",
    `The cluster is not there, and what is kept here of the run has no ${what}.`,
  );
}
