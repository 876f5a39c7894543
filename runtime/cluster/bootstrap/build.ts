import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { SetupFile } from "../../setup/messages.ts";

/** A file for a machine, and what is in it. */
export interface SetupContent {
  file: SetupFile;
  content: Buffer;
}

/** What a node is sent: the agent and the worker as this client was built with them, and the program that puts them there. */
export interface NodeBuild {
  /** As the agent names its own build. */
  hash: string;
  files: SetupContent[];
  /** The set-up program, in base64. */
  program: string;
}

let build: NodeBuild | undefined;

export function nodeBuild(): NodeBuild {
  return (build ??= read());
}

export function setupContent(name: string, content: Buffer, mode: number): SetupContent {
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { file: { name, sizeBytes: content.byteLength, sha256, mode }, content };
}

function read(): NodeBuild {
  const contentOf = (name: string) => readFileSync(fileURLToPath(new URL(`./${name}`, import.meta.url)));
  const agent = setupContent("agent.js", contentOf("agent.js"), 0o600);
  const worker = setupContent("worker.js", contentOf("worker.js"), 0o600);
  // Tells Node that the files beside it are ES modules.
  const manifest = setupContent("package.json", Buffer.from('{ "type": "module" }\n'), 0o600);
  return {
    hash: agent.file.sha256.slice(0, 12),
    files: [agent, worker, manifest],
    program: contentOf("setup.cjs").toString("base64"),
  };
}
