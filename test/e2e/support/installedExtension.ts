import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { currentTarget } from "../../../scripts/packaging/targets.ts";
import { packageVsix } from "../../../scripts/packaging/vsix.ts";
import { CodeServer } from "./codeServer.ts";

/**
 * Packs the built extension for this computer and installs it, once for all who are to have it: labs are given copies
 * of the folder that this returns. It lies in `outFolder`, and is made anew each time.
 */
export async function installedExtension(outFolder: string): Promise<string> {
  const { path } = await packageVsix(currentTarget(), outFolder);
  const folder = join(outFolder, "installed");
  const extensionsDir = join(folder, "extensions");
  await rm(folder, { recursive: true, force: true });
  await mkdir(extensionsDir, { recursive: true });
  await CodeServer.installExtension(path, { extensionsDir, userDataDir: join(folder, "user"), home: folder });
  return extensionsDir;
}
