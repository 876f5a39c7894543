import type { Frame, Locator } from "playwright-core";
import { until } from "../../support/home.ts";
import type { EditorWindow } from "./window.ts";

const waitMs = 45_000;

/** The extension's own panels, as a person sees them: by labels and texts. */

/** As at the start of a day: tests tell panels apart by their titles. */
export async function closeEditors(window: EditorWindow): Promise<void> {
  await window.runCommand("View: Close All Editors");
  await window.page.locator(".tab").first().waitFor({ state: "hidden" });
}

/** The form that asks for arguments or inputs. */
export class LaunchForm {
  readonly frame: Frame;

  private constructor(frame: Frame) {
    this.frame = frame;
  }

  static async open(window: EditorWindow, title: string): Promise<LaunchForm> {
    const frame = await window.webview(title);
    await frame.getByRole("heading", { level: 1 }).waitFor();
    return new LaunchForm(frame);
  }

  field(label: string | RegExp): Locator {
    return this.frame.getByLabel(label).first();
  }

  async fill(label: string | RegExp, text: string): Promise<void> {
    await this.frame.getByRole("textbox", { name: label }).first().fill(text);
  }

  async submit(): Promise<void> {
    await this.frame
      .getByRole("button", { name: /^(Run|Map)\b/ })
      .last()
      .click();
  }

  /** Chooses where inputs come from, and names them. */
  async source(kind: RegExp, text: string): Promise<void> {
    await this.frame.getByRole("radio", { name: kind }).click();
    const field = this.frame.getByRole("textbox", { name: /^(File|Pattern|Export|Values|Inputs)/ }).first();
    await field.fill(text);
    // An export is looked at when its field is left.
    await field.blur();
  }

  async choose(label: string | RegExp, option: string | RegExp): Promise<void> {
    await this.frame.getByRole("combobox", { name: label }).click();
    await this.frame.getByRole("option", { name: option }).first().click();
  }

  value(label: string | RegExp): Promise<string> {
    return this.frame.getByRole("textbox", { name: label }).first().inputValue();
  }

  text(): Promise<string> {
    return this.frame.locator("#app").innerText();
  }

  async waitForText(text: string | RegExp): Promise<void> {
    await this.frame.getByText(text).first().waitFor({ timeout: waitMs });
  }
}

/** The panel of a run. */
export class RunPanel {
  readonly frame: Frame;

  private constructor(frame: Frame) {
    this.frame = frame;
  }

  static async open(window: EditorWindow, title: string): Promise<RunPanel> {
    const frame = await window.webview(title);
    await frame.locator("header .state").waitFor({ timeout: waitMs });
    return new RunPanel(frame);
  }

  async state(): Promise<string> {
    return (await this.frame.locator("header .state").innerText()).trim().toLowerCase();
  }

  async waitForState(state: RegExp, withinMs = waitMs): Promise<string> {
    return until(
      () => this.state().catch(() => ""),
      (text) => state.test(text),
      withinMs,
    );
  }

  async tab(name: string): Promise<void> {
    await this.frame.getByRole("tab", { name: new RegExp(`^${name}`) }).click();
  }

  async press(name: string | RegExp): Promise<void> {
    await this.frame.getByRole("button", { name }).first().click();
  }

  text(): Promise<string> {
    return this.frame.locator("#app").innerText();
  }

  async waitForText(text: string | RegExp, withinMs = waitMs): Promise<void> {
    await this.frame.getByText(text).first().waitFor({ timeout: withinMs });
  }

  /** Texts of the rows in sight of the table or the log. */
  async rows(): Promise<string[]> {
    const rows = await this.frame.getByRole("row").allInnerTexts();
    return rows.slice(1).map((text) => text.replaceAll(/\s+/g, " ").trim());
  }

  async waitForRows(isGood: (rows: string[]) => boolean): Promise<string[]> {
    return until(() => this.rows(), isGood, waitMs);
  }

  /** `1,234 of 10,000 · 3 failed` */
  async progress(): Promise<{ done: number; of: number; failed: number }> {
    const text = (await this.frame.getByRole("progressbar", { name: "Progress" }).getAttribute("aria-valuetext")) ?? "";
    const [, done = "", of = ""] = /([\d,]+) of ([\d,]+)/.exec(text) ?? [];
    const [, failed = "0"] = /([\d,]+) failed/.exec(text) ?? [];
    const number = (given: string) => Number(given.replaceAll(",", ""));
    return { done: number(done), of: number(of), failed: number(failed) };
  }
}

/** The panel of a cluster. */
export class ClusterPanel {
  readonly frame: Frame;

  private constructor(frame: Frame) {
    this.frame = frame;
  }

  static async open(window: EditorWindow, cluster: string): Promise<ClusterPanel> {
    const frame = await window.webview(`Cluster ${cluster}`);
    await frame.locator("header .state").waitFor({ timeout: waitMs });
    return new ClusterPanel(frame);
  }

  async waitForState(state: RegExp): Promise<void> {
    await this.frame.locator("header .state").filter({ hasText: state }).waitFor({ timeout: waitMs });
  }

  async press(name: string): Promise<void> {
    await this.frame.getByRole("button", { name, exact: true }).click();
  }

  /** Charts that say in words what they show. */
  async waitForCharts(count: number): Promise<void> {
    await until(
      () => this.frame.locator(".chart canvas").count(),
      (found) => found === count,
      waitMs,
    );
  }
}
