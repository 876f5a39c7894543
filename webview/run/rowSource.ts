import { listen, post } from "../host.ts";
import type { ResultRow, ResultView } from "../messages/run.ts";
import { Observable } from "../ui/hooks.ts";
import { nextRequest } from "./requests.ts";

/**
 * The rows of a map's results as they are looked at: pages of them, asked for when they come into sight. Rows that
 * may have changed stay until newer ones are there.
 */

const pageRows = 100;
const keptPages = 30;
/** Whoever scrolls past does not want the rows in between. */
const settleMs = 40;
const refreshMs = 500;
/** An answer may get lost, with a panel that was hidden, or a cluster that is away. */
const answerWithinMs = 15_000;

interface Page {
  /** Of when it is: an older one is asked for again when it is in sight. */
  version: number;
  rows: ResultRow[];
}

interface Asked {
  page: number;
  version: number;
  atMs: number;
}

export class RowSource extends Observable {
  #view: ResultView;
  /** Counts views, to know of which one the rows are. */
  #viewNumber = 0;
  #shownView = -1;
  #version = 0;
  #count = 0;
  #columns: string[] = [];
  #pages = new Map<number, Page>();
  readonly #asked = new Map<number, Asked>();
  #window = { first: 0, last: 1 };
  #settling: ReturnType<typeof setTimeout> | undefined;
  #refreshing: ReturnType<typeof setTimeout> | undefined;
  #refreshedAtMs = 0;
  #problem: string | undefined;

  constructor(view: ResultView) {
    super();
    this.#view = view;
    listen((message) => {
      if (message.type === "rows") this.#take(message);
      else if (message.type === "rowsFailed") this.#fail(message);
    });
  }

  get view(): ResultView {
    return this.#view;
  }

  get count(): number {
    return this.#count;
  }

  get columns(): readonly string[] {
    return this.#columns;
  }

  /** Whether rows of the present view have come. */
  get isLoaded(): boolean {
    return this.#shownView === this.#viewNumber;
  }

  /** Why rows that were asked for are not there. */
  get problem(): string | undefined {
    return this.#problem;
  }

  row(position: number): ResultRow | undefined {
    return this.#pages.get(Math.floor(position / pageRows))?.rows[position % pageRows];
  }

  /** Where the row of an input stands, if it is among those at hand. */
  find(index: number): { position: number; row: ResultRow } | undefined {
    let found: { position: number; row: ResultRow; version: number } | undefined;
    for (const [page, { rows, version }] of this.#pages) {
      // Rows move while the run goes on, so an older page may still have it elsewhere.
      if (found && found.version >= version) continue;
      const at = rows.findIndex((row) => row.index === index);
      if (at >= 0) found = { position: page * pageRows + at, row: rows[at]!, version };
    }
    return found;
  }

  show(view: ResultView): void {
    this.#view = view;
    this.#viewNumber++;
    // Whatever is answered from here on to earlier questions is about another view.
    this.#asked.clear();
    this.#problem = undefined;
    this.#window = { first: 0, last: 1 };
    this.#ask();
    this.changed();
  }

  /** The rows in sight. */
  look(first: number, last: number): void {
    this.#window = { first, last: Math.max(last, first + 1) };
    if (this.#settling !== undefined) return;
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      this.#ask();
    }, settleMs);
  }

  /** The run went on: what is in sight may be others by now. */
  refresh(): void {
    if (this.#refreshing !== undefined) return;
    this.#refreshing = setTimeout(
      () => {
        this.#refreshing = undefined;
        this.#refreshedAtMs = Date.now();
        this.#version++;
        this.#ask();
      },
      Math.max(0, this.#refreshedAtMs + refreshMs - Date.now()),
    );
  }

  /** After a failure: asks once more for what is in sight. */
  retry(): void {
    if (this.#problem === undefined) return;
    this.#problem = undefined;
    this.#ask();
    this.changed();
  }

  #ask(): void {
    const { first, last } = this.#window;
    for (let page = Math.floor(first / pageRows); page * pageRows < last; page++) {
      const held = this.isLoaded ? this.#pages.get(page) : undefined;
      if (held?.version === this.#version || this.#isAsked(page)) continue;
      const request = nextRequest();
      this.#asked.set(request, { page, version: this.#version, atMs: Date.now() });
      post({ type: "getRows", request, view: this.#view, first: page * pageRows, count: pageRows });
    }
  }

  #isAsked(page: number): boolean {
    for (const [request, asked] of this.#asked) {
      if (Date.now() - asked.atMs > answerWithinMs) this.#asked.delete(request);
      else if (asked.page === page && asked.version === this.#version) return true;
    }
    return false;
  }

  #take(answer: { request: number; of: number; columns: string[]; first: number; rows: ResultRow[] }): void {
    const asked = this.#asked.get(answer.request);
    this.#asked.delete(answer.request);
    if (!asked || answer.first !== asked.page * pageRows) return;
    const older = this.#pages.get(asked.page);
    if (this.isLoaded && older && older.version > asked.version) return;
    if (!this.isLoaded) this.#pages = new Map();
    this.#problem = undefined;
    this.#shownView = this.#viewNumber;
    this.#count = answer.of;
    this.#columns = answer.columns;
    // Last in, last out.
    this.#pages.delete(asked.page);
    this.#pages.set(asked.page, { version: asked.version, rows: answer.rows });
    for (const page of this.#pages.keys()) {
      if (this.#pages.size <= keptPages) break;
      this.#pages.delete(page);
    }
    this.changed();
  }

  #fail({ request, problem }: { request: number; problem: string }): void {
    if (!this.#asked.delete(request)) return;
    this.#problem = problem;
    if (!this.isLoaded) {
      // Rows of another order under the arrow of this one would be taken for it.
      this.#pages = new Map();
      this.#count = 0;
    }
    this.changed();
  }
}
