import { load } from "cheerio";

/** How often each word of a document stands in it: an address goes in, counts by word come out. */
export async function wordCounts(url: string): Promise<Record<string, number>> {
  const response = await fetch(url, { headers: { "user-agent": "farcall word-counts example" } });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const document = load(await response.text());
  document("script, style").remove();
  const counts: Record<string, number> = Object.create(null);
  for (const word of document
    .text()
    .toLowerCase()
    .match(/\p{L}+/gu) ?? [])
    counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
