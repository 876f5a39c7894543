/** The project that pictures show. */

const sentences = [
  "The agent leases chunks and settles them once.",
  "Whoever settles first wins; everybody else is told.",
  "A run outlives the client that began it.",
  "Nothing between the two ends parses a value.",
];

export const sceneFiles: Record<string, string> = {
  "package.json": '{ "name": "texts", "type": "module" }\n',
  "farcall.json": `${JSON.stringify(
    {
      envs: {
        default: { replicas: 2 },
        scraping: { reqs: ["tiny-invariant@1.3.3"], vars: { LANG: "en" }, replicas: 4, concurrency: 8 },
      },
    },
    null,
    2,
  )}\n`,
  "texts.jsonl": Array.from(
    { length: 4_000 },
    (_, i) => `${JSON.stringify({ id: i, text: i % 400 === 399 ? "" : `${sentences[i % 4]} Line ${i}.` })}\n`,
  ).join(""),
  "statistics.ts": `export interface Text {
  id: number;
  text: string;
}

export interface Statistics {
  id: number;
  words: number;
  longest: string;
  letters: number;
}

/**
 * Counts the words of a text and finds its longest one.
 *
 * @param document the text with its number
 */
export async function statistics(document: Text): Promise<Statistics> {
  const words = document.text.match(/\\p{L}+/gu) ?? [];
  if (words.length === 0) throw new RangeError(\`text \${document.id} has no words\`);
  if (document.id % 250 === 0) console.log("\\u001b[36mtext %d\\u001b[0m has %d words", document.id, words.length);
  if (document.id % 900 === 0) console.warn("text %d is slow", document.id);
  await new Promise((resolve) => setTimeout(resolve, 2 + (document.id % 7)));
  const longest = words.reduce((a, b) => (b.length > a.length ? b : a));
  return { id: document.id, words: words.length, longest, letters: words.join("").length };
}

/** Summarises a text for a report. */
export function summary(
  title: string,
  limit: number,
  style: "short" | "long",
  withTotals: boolean,
  options: { locale?: string; tags: string[] } = { tags: [] },
) {
  return {
    title,
    style,
    at: new Date(1_763_800_000_000),
    totals: withTotals ? new Map([["words", 1_204n], ["letters", 6_871n]]) : null,
    tags: new Set(options.tags),
    sections: Array.from({ length: Math.min(limit, 3) }, (_, i) => ({ number: i + 1, heading: \`Part \${i + 1}\`, words: 400 + i })),
  };
}
`,
  "broken.ts": `interface Order {
  lines: { price: number }[];
}

/** Adds up an order. */
export function total(json: string): number {
  const order = JSON.parse(json) as Order;
  return order.lines.reduce((sum, line) => sum + line.price, 0);
}
`,
};
