import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, inject } from "vitest";
import type { TestHome } from "../../support/home.ts";
import { Lab, type LabOptions } from "./lab.ts";
import type { EditorWindow } from "./window.ts";

/** Where pictures of windows in which a test failed are kept, with the log of the server. */
const failures = join(import.meta.dirname, "../../../.cache/e2e");

export interface OpenLab {
  readonly lab: Lab;
  readonly home: TestHome;
  /** A window on the project, open from the first test on. */
  readonly window: EditorWindow;
}

/** A lab for the tests of a file. To be called where tests are described, not in one. */
export function useLab(options: Omit<LabOptions, "extensions"> = {}): OpenLab {
  let lab: Lab | undefined;
  let window: EditorWindow | undefined;

  beforeAll(async () => {
    lab = await Lab.start({ extensions: inject("extensions"), ...options });
    window = await lab.open();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state !== "fail") return;
    const name = join(failures, task.name.replaceAll(/\W+/g, "-"));
    await mkdir(failures, { recursive: true });
    await window?.screenshot(`${name}.png`).catch(() => undefined);
    await writeFile(`${name}.log`, lab?.server.log ?? "");
    process.stderr.write(`The window as it was: ${name}.png\n`);
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  return {
    get lab() {
      return opened(lab);
    },
    get home() {
      return opened(lab).home;
    },
    get window() {
      return opened(window);
    },
  };
}

function opened<T>(part: T | undefined): T {
  if (part === undefined) throw new Error("The lab is open only while tests run.");
  return part;
}
