import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { SetupFile } from "../../setup/messages.ts";

/** What a node is sent: the agent and the worker as this client was built with them, and the program that puts them there. */
export interface NodeBuild {
  /** As the agent names its own build. */
  hash: string;
  files: SetupFile[];
  contents: Buffer[];
  /** The set-up program, in base64. */
  program: string;
}

let build: NodeBuild | undefined;

export function nodeBuild(): NodeBuild {
  return (build ??= read());
}

function read(): NodeBuild {
  const contentOf = (name: string) => readFileSync(fileURLToPath(new URL(`./${name}`, import.meta.url)));
  const names = ["agent.js", "worker.js"];
  const contents = names.map(contentOf);
  return {
    hash: sha256(contents[0]!).slice(0, 12),
    files: [
      ...names.map((name, at) => ({
        name,
        sizeBytes: contents[at]!.byteLength,
        sha256: sha256(contents[at]!),
        mode: 0o600,
      })),
      packageFile,
    ],
    contents: [...contents, packageContent],
    program: contentOf("setup.cjs").toString("base64"),
  };
}

/** Tells Node that the files beside it are ES modules. */
const packageContent = Buffer.from('{ "type": "module" }\n');
const packageFile: SetupFile = {
  name: "package.json",
  sizeBytes: packageContent.byteLength,
  sha256: sha256(packageContent),
  mode: 0o600,
};

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
