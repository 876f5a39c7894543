import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** The formats of which a lockfile of the same workspace lies in test/fixtures/lockfiles, each written by its package manager. */
export const lockFormats = ["npm1", "npm2", "npm3", "pnpm6", "pnpm9", "yarn1", "yarn4"] as const;
export type LockFormat = (typeof lockFormats)[number];

const manifests: Record<string, object> = {
  "package.json": {
    name: "root",
    private: true,
    workspaces: ["packages/*"],
    dependencies: { debug: "^2.6.0", ms: "^2.1.0" },
  },
  "packages/a/package.json": {
    name: "a",
    version: "1.0.0",
    dependencies: { "@isaacs/cliui": "^8.0.0", ms: "~2.0.0", tiny: "npm:is-number@^6.0.0" },
  },
  "packages/b/package.json": {
    name: "b",
    version: "1.0.0",
    devDependencies: { "supports-color": "^7.0.0" },
    optionalDependencies: { "@node-rs/xxhash": "^1.0.0" },
  },
};

export class ProjectFolder implements AsyncDisposable {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Absolute path of a file of the project, which need not exist. */
  file(name: string): string {
    return join(this.path, name);
  }

  async write(name: string, content: string | object): Promise<string> {
    await mkdir(dirname(this.file(name)), { recursive: true });
    await writeFile(this.file(name), typeof content === "string" ? content : JSON.stringify(content, undefined, 2));
    return this.file(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

export async function emptyProject(): Promise<ProjectFolder> {
  return new ProjectFolder(await mkdtemp(join(tmpdir(), "farcall-project-")));
}

/** A workspace of the packages `a` and `b` with its lockfile. `b` needs `a` as a package of the workspace. */
export async function lockedProject(format: LockFormat): Promise<ProjectFolder> {
  const project = await emptyProject();
  await cp(join(import.meta.dirname, "../fixtures/lockfiles", format), project.path, { recursive: true });
  for (const [name, manifest] of Object.entries(manifests)) await project.write(name, manifest);
  const workspaceRange = format.startsWith("pnpm") || format === "yarn4" ? "workspace:*" : "1.0.0";
  const b = manifests["packages/b/package.json"];
  await project.write("packages/b/package.json", { ...b, dependencies: { a: workspaceRange, ms: "^2.0.0" } });
  return project;
}
