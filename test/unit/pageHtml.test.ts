import { expect, it } from "vitest";
import { pageHtml, pagePolicy } from "../../extension/panels/pageHtml.ts";

const files = {
  source: "https://cdn",
  style: "https://cdn/run.css",
  script: "https://cdn/run.js",
  nonce: "n/1=",
  language: "de",
};

it("a page may load styles, fonts and pictures of the extension, run its own script, and nothing else", () => {
  const policy = Object.fromEntries(
    pagePolicy(files)
      .split("; ")
      .map((each) => [each.split(" ")[0], each.split(" ").slice(1).join(" ")]),
  );
  expect(policy).toEqual({
    "default-src": "'none'",
    "script-src": "'nonce-n/1='",
    "style-src": "https://cdn",
    "font-src": "https://cdn",
    "img-src": "https://cdn",
    "base-uri": "'none'",
    "form-action": "'none'",
  });
});

it("a page has its policy before anything that the policy is about, and no script without the nonce", () => {
  const html = pageHtml(files);
  expect(html.indexOf("Content-Security-Policy")).toBeLessThan(html.indexOf("<link"));
  expect(html).toContain(`content="${pagePolicy(files)}"`);
  expect(html.match(/<script[^>]*>/g)).toEqual(['<script type="module" nonce="n/1=" src="https://cdn/run.js">']);
  expect(html).toContain('<html lang="de">');
  // The editor's own menu has what is needed to copy.
  expect(html).not.toContain("preventDefaultContextMenuItems");
});
