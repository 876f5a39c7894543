import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface PublishedPackage {
  name: string;
  version: string;
  /** Further fields of its package.json. */
  manifest?: object;
  /** Text by file name. */
  files?: Record<string, string>;
}

/** A small npm registry on a port of this machine, for what no public package does. npm uses it until it is closed. */
export class NpmRegistry implements AsyncDisposable {
  /** Subresource integrity by `name@version`. */
  readonly integrity = new Map<string, string>();
  /** Requests so far, as paths. */
  readonly requests: string[] = [];
  /** A request for a path with this in it is never answered. */
  silentAbout: string | undefined;
  readonly #answers = new Map<string, string | Buffer>();
  readonly #server: Server;
  readonly #cache = mkdtempSync(join(tmpdir(), "farcall-npm-cache-"));
  readonly #environment = { npm_config_registry: "", npm_config_cache: this.#cache };
  readonly #before: NodeJS.ProcessEnv = {};

  private constructor() {
    this.#server = createServer((request, response) => {
      const path = decodeURIComponent(request.url ?? "");
      this.requests.push(path);
      if (this.silentAbout !== undefined && path.includes(this.silentAbout)) return;
      const answer = this.#answers.get(path);
      response.writeHead(answer === undefined ? 404 : 200).end(answer ?? "{}");
    });
  }

  static async start(packages: readonly PublishedPackage[]): Promise<NpmRegistry> {
    const registry = new NpmRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(registry.#server.address() as AddressInfo).port}`;
    for (const name of new Set(packages.map((one) => one.name))) {
      registry.#publish(
        url,
        name,
        packages.filter((one) => one.name === name),
      );
    }
    registry.#environment.npm_config_registry = url;
    for (const [key, value] of Object.entries(registry.#environment)) {
      registry.#before[key] = process.env[key];
      process.env[key] = value;
    }
    return registry;
  }

  #publish(url: string, name: string, packages: readonly PublishedPackage[]): void {
    const versions: Record<string, object> = {};
    for (const { version, manifest, files = {} } of packages) {
      const described = { name, version, ...manifest };
      const folder = mkdtempSync(join(tmpdir(), "farcall-package-"));
      mkdirSync(join(folder, "package"));
      for (const [file, text] of Object.entries({ ...files, "package.json": JSON.stringify(described) })) {
        writeFileSync(join(folder, "package", file), text);
      }
      execFileSync("tar", ["-czf", "package.tgz", "package"], { cwd: folder });
      const archive = readFileSync(join(folder, "package.tgz"));
      rmSync(folder, { recursive: true });
      const integrity = `sha512-${createHash("sha512").update(archive).digest("base64")}`;
      const path = `/${name}/-/${name.split("/").at(-1)}-${version}.tgz`;
      this.integrity.set(`${name}@${version}`, integrity);
      this.#answers.set(path, archive);
      versions[version] = { ...described, dist: { tarball: url + path, integrity } };
    }
    this.#answers.set(
      `/${name}`,
      JSON.stringify({ name, versions, "dist-tags": { latest: packages.at(-1)!.version } }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [key, value] of Object.entries(this.#before)) {
      if (value === undefined) delete process.env[key];
      else process.env[key] = value;
    }
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#cache, { recursive: true, force: true });
  }
}
