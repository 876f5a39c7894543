import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isForEditors, remedyOf } from "../../extension/remedy.ts";
import { FarcallError } from "../../runtime/spec/errors.ts";

/** What is offered beside an error in the editor. */

const about = { cluster: "local", file: "/src/a.ts", run: "r-1" };

describe("the remedy of an error", () => {
  it("leads to what is at fault", () => {
    const of = (code: ConstructorParameters<typeof FarcallError>[0], message = "No.") =>
      remedyOf(new FarcallError(code, message), about);
    expect(of("agent.version")).toEqual({ kind: "shutDown", cluster: "local" });
    expect(of("agent.unreachable")).toEqual({ kind: "start", cluster: "local" });
    expect(of("agent.start-failed")).toEqual({ kind: "clusterLog", cluster: "local" });
    expect(of("run.mismatch")).toEqual({ kind: "runAgain", cluster: "local", run: "r-1" });
    expect(of("env.install-failed")).toEqual({ kind: "editEnvs" });
    expect(of("home.unusable")).toEqual({ kind: "chooseHome" });
    expect(of("bundle.export-unknown")).toEqual({ kind: "openFile", file: "/src/a.ts", line: 1, column: 1 });
    expect(of("bundle.compile", "It does not compile.\n/src/b.ts:3:7: Expected ;")).toEqual({
      kind: "openFile",
      file: "/src/b.ts",
      line: 3,
      column: 7,
    });
  });

  it("takes nothing away from machines", () => {
    const error = new FarcallError("agent.version", "No.");
    expect(remedyOf(error, { cluster: "lab" })).toEqual({ kind: "start", cluster: "lab" });
  });

  it("is to try again what a connection broke, where that can be done", () => {
    const lost = new FarcallError("connection.lost", "Gone.");
    const retry = () => undefined;
    expect(remedyOf(lost, { retry })).toEqual({ kind: "retry", act: retry });
    expect(remedyOf(lost, about)).toBeUndefined();
  });

  it("is not made up for what has none", () => {
    for (const error of [new Error("x"), "text", { code: "toString" }, new FarcallError("internal", "x")])
      expect(remedyOf(error, about)).toBeUndefined();
    expect(remedyOf(new FarcallError("bundle.compile", "x"), {})).toBeUndefined();
    expect(remedyOf(new FarcallError("run.mismatch", "x"), {})).toBeUndefined();
  });
});

describe("a hint", () => {
  it("that names the command line is not shown in the editor", () => {
    expect(isForEditors("Wait for it, or end it with `farcall cancel r-1`.")).toBe(false);
    expect(isForEditors("Wait for them or cancel them; with --force they are cancelled.")).toBe(false);
    expect(isForEditors("Set FARCALL_HOME to a folder that you own.")).toBe(false);
    expect(isForEditors("Leave sharp out of the env's reqs.")).toBe(true);
    expect(isForEditors("Map the changed code in a new run.")).toBe(true);
  });

  it("is known for what it is wherever the runtime names its commands", () => {
    const files = globSync("runtime/{agent,client,cluster,providers,spec,queue}/**/*.ts", {
      cwd: join(import.meta.dirname, "../.."),
    });
    const hints = files.flatMap((file) => [
      ...readFileSync(join(import.meta.dirname, "../..", file), "utf8").matchAll(/hint:\s*["`](.*?)["`],?\s*[}\n]/g),
    ]);
    const commands = hints
      .map(([, hint = ""]) => hint.replaceAll("\\`", "`"))
      .filter((hint) => hint.includes("`farcall"));
    expect(hints.length).toBeGreaterThan(10);
    expect(commands.length).toBeGreaterThan(2);
    expect(commands.filter(isForEditors)).toEqual([]);
  });
});
