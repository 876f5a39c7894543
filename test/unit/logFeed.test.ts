import { describe, expect, it } from "vitest";
import type { LogLine } from "farcall";
import { LogFeed } from "../../extension/panels/logFeed.ts";
import { LogStore } from "../../extension/panels/logStore.ts";
import type { ToPage } from "../../webview/messages/toPage.ts";

/** What a panel keeps of a log, and how its page is sent it. */

type Logs = Extract<ToPage, { type: "logs" }>;

const printed = (from: number, to: number, text = (i: number) => String(i)): LogLine[] =>
  Array.from({ length: to - from }, (_, i) => ({
    run: "r",
    replica: 1,
    stream: "stdout",
    timeMs: 1,
    text: text(from + i),
  }));

/** A page that takes messages when it is told to. */
class SlowPage {
  isShown = true;
  readonly taken: Logs[] = [];
  #waiting: (() => void)[] = [];

  deliver(message: ToPage): Promise<void> {
    this.taken.push(message as Logs);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  goOn(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 250));

describe("the log that a panel keeps", () => {
  it("is the newest lines, with the others counted", () => {
    const store = new LogStore(10);
    for (let i = 0; i < 50; i++) store.add(printed(i, i + 1));
    expect(store.lines.at(-1)?.text).toBe("49");
    expect(store.lines.length + store.dropped).toBe(50);
    expect(store.lines.length).toBeLessThanOrEqual(11);
  });

  it("is bounded in characters as well, each line and all of them", () => {
    const store = new LogStore(50_000, 1_000_000);
    store.add(printed(0, 500, () => "x".repeat(50_000)));
    expect(store.lines[0]!.text.length).toBe(10_001);
    expect(store.lines.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(1_100_000);
    expect(store.lines.length + store.dropped).toBe(500);
  });
});

describe("the feed of a log", () => {
  it("sends what gathers together, and the next once the page has taken that", async () => {
    const store = new LogStore(50_000);
    const page = new SlowPage();
    const feed = new LogFeed(store, page);
    for (let i = 0; i < 10; i++) {
      store.add(printed(i, i + 1));
      feed.changed();
    }
    await soon();
    expect(page.taken.map(({ reset, lines }) => [reset, lines.length])).toEqual([[true, 10]]);
    store.add(printed(10, 30));
    feed.changed();
    await soon();
    expect(page.taken).toHaveLength(1);
    page.goOn();
    await soon();
    expect(page.taken.slice(1).map(({ reset, lines }) => [reset, lines.length])).toEqual([[false, 20]]);
    feed.dispose();
  });

  it("cuts a long log into messages of bounded size", async () => {
    const store = new LogStore(50_000);
    const page = new SlowPage();
    const feed = new LogFeed(store, page);
    store.add(printed(0, 5_000));
    store.add(printed(0, 300, () => "x".repeat(10_000)));
    feed.changed();
    for (let turn = 0; turn < 40; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      page.goOn();
    }
    expect(page.taken.reduce((sum, { lines }) => sum + lines.length, 0)).toBe(5_300);
    for (const { lines } of page.taken) {
      expect(lines.length).toBeLessThanOrEqual(2_000);
      expect(lines.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThan(1_100_000);
    }
    feed.dispose();
  });

  it("says what a page that was too slow has missed", async () => {
    const store = new LogStore(100);
    const page = new SlowPage();
    const feed = new LogFeed(store, page);
    store.add(printed(0, 50));
    feed.changed();
    await soon();
    store.add(printed(50, 1_000));
    page.goOn();
    await soon();
    expect(page.taken.map(({ dropped, lines }) => [dropped, lines[0]?.text, lines.length])).toEqual([
      [0, "0", 50],
      [850, "900", 100],
    ]);
    feed.dispose();
  });

  it("sends nothing while the page is hidden, and all that is kept when it is back", async () => {
    const store = new LogStore(100);
    const page = new SlowPage();
    const feed = new LogFeed(store, page);
    page.isShown = false;
    store.add(printed(0, 150));
    feed.changed();
    await soon();
    expect(page.taken).toEqual([]);
    page.isShown = true;
    feed.restart();
    await soon();
    // The page goes before it has taken that, and is another when it comes back.
    feed.restart();
    await soon();
    expect(page.taken.map(({ reset, dropped, lines }) => [reset, dropped, lines.length])).toEqual([
      [true, 50, 100],
      [true, 50, 100],
    ]);
    feed.dispose();
  });
});
