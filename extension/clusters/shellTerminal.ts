import * as vscode from "vscode";
import type { Shell } from "../../runtime/transport/ssh/connection.ts";
import type { Farcall } from "../farcall.ts";
import { messageOf } from "../../runtime/spec/errors.ts";

/** A shell on a node in a terminal of the editor, over the cluster's own SSH connection. */
export function openShell(farcall: Farcall, cluster: string, node: number, host: string): void {
  const pty = new ShellTerminal(farcall, cluster, node);
  vscode.window.createTerminal({ name: `${cluster}: ${host}`, iconPath: new vscode.ThemeIcon("vm"), pty }).show();
}

const usualSize = { columns: 80, rows: 24 };

class ShellTerminal implements vscode.Pseudoterminal {
  readonly #farcall: Farcall;
  readonly #cluster: string;
  readonly #node: number;
  readonly #written = new vscode.EventEmitter<string>();
  readonly onDidWrite = this.#written.event;
  readonly #closed = new vscode.EventEmitter<number | void>();
  readonly onDidClose = this.#closed.event;
  readonly #stop = new AbortController();
  #shell: Shell | undefined;
  #size = usualSize;

  constructor(farcall: Farcall, cluster: string, node: number) {
    this.#farcall = farcall;
    this.#cluster = cluster;
    this.#node = node;
  }

  open(size: vscode.TerminalDimensions | undefined): void {
    if (size) this.#size = size;
    this.#run().then(
      (status) => this.#closed.fire(status),
      (error: unknown) => {
        const message = messageOf(error);
        this.#farcall.log.error(`No shell on node ${this.#node} of ${this.#cluster}: ${message}`);
        // It stays open, so that the reason can be read.
        this.#written.fire(`${message.replaceAll(/\r?\n/g, "\r\n")}\r\n`);
      },
    );
  }

  close(): void {
    this.#stop.abort();
    this.#shell?.stream.destroy();
  }

  handleInput(text: string): void {
    this.#shell?.stream.write(text);
  }

  setDimensions(size: vscode.TerminalDimensions): void {
    this.#size = size;
    this.#shell?.resize(size.columns, size.rows);
  }

  async #run(): Promise<number> {
    const cluster = await this.#farcall.cluster(this.#cluster);
    const { signal } = this.#stop;
    const { columns, rows } = this.#size;
    const shell = await (async () => {
      using _asking = this.#farcall.ask(this.#cluster);
      return await cluster.shell(this.#node, { term: "xterm-256color", columns, rows }, signal);
    })();
    this.#shell = shell;
    if (signal.aborted) shell.stream.destroy();
    shell.resize(this.#size.columns, this.#size.rows);
    // A character may be cut in two by where a packet ends.
    const decoder = new TextDecoder();
    shell.stream.on("data", (data: Buffer) => this.#written.fire(decoder.decode(data, { stream: true })));
    return await shell.ended;
  }
}
