import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bundleFile, bundleText } from "../../scripts/l10n.ts";

/** The manifest, its texts and the code agree. */

const root = join(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");
const manifest = JSON.parse(read("package.json")) as {
  name: string;
  contributes: {
    commands: { command: string; title: string; category: string; icon?: string }[];
    menus: Record<string, { command: string; when?: string }[]>;
    views: Record<string, { id: string; name: string; icon: string }[]>;
    viewsWelcome: { view: string; contents: string }[];
    configuration: { properties: Record<string, { scope: string; enum?: string[]; enumDescriptions?: string[] }> };
    walkthroughs: { steps: { media: { svg: string; altText: string }; completionEvents: string[] }[] }[];
    jsonValidation: { url: string }[];
  };
  capabilities: { untrustedWorkspaces: { restrictedConfigurations: string[] } };
};
const texts = JSON.parse(read("package.nls.json")) as Record<string, string>;
const { contributes } = manifest;

function* strings(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null) for (const each of Object.values(value)) yield* strings(each);
}
const keysUsed = [...strings(contributes), ...strings(manifest.capabilities)].flatMap(
  (text) => /^%(.+)%$/.exec(text)?.[1] ?? [],
);

describe("the manifest", () => {
  it("finds every text it names in package.nls.json, and leaves none there unused", () => {
    expect(keysUsed.filter((key) => !(key in texts))).toEqual([]);
    expect(Object.keys(texts).filter((key) => !keysUsed.includes(key))).toEqual([]);
  });

  it("has no text of its own where a person would read it", () => {
    const shown: string[] = [
      ...contributes.commands.map(({ title }) => title),
      ...contributes.viewsWelcome.map(({ contents }) => contents),
      ...Object.values(contributes.views).flatMap((views) => views.map(({ name }) => name)),
      ...Object.values(contributes.configuration.properties).flatMap((property) =>
        Object.entries(property).flatMap(([key, value]) => (/description/i.test(key) ? [...strings(value)] : [])),
      ),
    ];
    expect(shown.filter((text) => !/^%.+%$/.test(text))).toEqual([]);
  });

  it("contributes the commands that the code registers, and no others", () => {
    const sources = [
      "extension/commands.ts",
      "extension/clusters/commands.ts",
      "extension/envs/commands.ts",
      "extension/runs/commands.ts",
    ];
    const registered = sources.flatMap((file) =>
      [...read(file).matchAll(/^ {4}"?([\w.]+)"?: (?:\{\s+tried|on\()/gm)].map(([, name]) => `farcall.${name}`),
    );
    expect(contributes.commands.map(({ command }) => command).sort()).toEqual(registered.sort());
  });

  it("names in its menus, welcome texts and steps only commands and views that there are", () => {
    const commands = new Set(contributes.commands.map(({ command }) => command));
    const views = new Set(Object.values(contributes.views).flatMap((list) => list.map(({ id }) => id)));
    for (const items of Object.values(contributes.menus)) {
      for (const { command, when } of items) {
        expect(commands).toContain(command);
        for (const [, view] of (when ?? "").matchAll(/view == ([\w.]+)/g)) expect(views).toContain(view);
      }
    }
    for (const { view } of contributes.viewsWelcome) expect(views).toContain(view);
    const linked = Object.values(texts).flatMap((text) =>
      [...text.matchAll(/\(command:(farcall\.[\w.]+)\)/g)].map(([, name]) => name!),
    );
    for (const name of linked)
      expect(name.endsWith(".focus") ? views.has(name.slice(0, -6)) : commands.has(name)).toBe(true);
    for (const { completionEvents } of contributes.walkthroughs[0]!.steps) {
      for (const event of completionEvents) {
        const [kind, name = ""] = event.split(":");
        if (kind === "onCommand") expect(commands).toContain(name);
        if (kind === "onView") expect(views).toContain(name);
      }
    }
  });

  it("has files for the pictures and schemas it names, and at most six steps", () => {
    const { steps } = contributes.walkthroughs[0]!;
    expect(steps.length).toBeLessThanOrEqual(6);
    for (const { media } of steps) expect(existsSync(join(root, media.svg)), media.svg).toBe(true);
    for (const { url } of contributes.jsonValidation) expect(existsSync(join(root, url))).toBe(true);
    for (const views of Object.values(contributes.views))
      for (const { icon } of views) expect(existsSync(join(root, icon))).toBe(true);
  });

  it("says what each choice of a setting means, reads every setting in the code, and keeps risky ones from folders", () => {
    const code = globSync("extension/**/*.ts", { cwd: root })
      .map((file) => read(file))
      .join("\n");
    for (const [name, property] of Object.entries(contributes.configuration.properties)) {
      if (property.enum) expect(property.enumDescriptions).toHaveLength(property.enum.length);
      expect(code, name).toContain(`"${name.slice("farcall.".length)}"`);
    }
    // All of them are read, and until a folder is trusted nothing of it is.
    expect(manifest.capabilities.untrustedWorkspaces.restrictedConfigurations).toEqual(
      Object.keys(contributes.configuration.properties),
    );
    expect(contributes.configuration.properties["farcall.home"]?.scope).toBe("machine");
  });
});

describe("texts", () => {
  it("are all in the bundle for translators", () => {
    expect(readFileSync(bundleFile, "utf8")).toBe(bundleText());
  });

  it("have their placeholders numbered from 0 without gaps", () => {
    for (const text of Object.keys(JSON.parse(readFileSync(bundleFile, "utf8")) as Record<string, string>)) {
      const used = [...new Set([...text.matchAll(/\{(\d+)\}/g)].map(([, number]) => Number(number)))].sort(
        (a, b) => a - b,
      );
      expect(used, text).toEqual(used.map((_, i) => i));
    }
  });
});
