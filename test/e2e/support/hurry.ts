import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * For functions that are slow while a test needs them to be, and no longer: its end comes at once then. `pause` is code
 * that waits so many milliseconds, or not at all once somebody is in a hurry.
 */
export class Hurry {
  readonly #file = join(tmpdir(), `farcall-hurry-${process.pid}`);

  pause(ms: number): string {
    const isHurried = `process.getBuiltinModule("node:fs").existsSync(${JSON.stringify(this.#file)})`;
    return `await new Promise((resolve) => setTimeout(resolve, ${isHurried} ? 0 : ${ms}));`;
  }

  begin(): void {
    writeFileSync(this.#file, "");
  }

  end(): void {
    rmSync(this.#file, { force: true });
  }
}
