import { readFile } from "node:fs/promises";
import type { IdentityCallback, ParsedKey, SignCallback, SigningRequestOptions } from "ssh2";
import ssh2 from "ssh2";
import { messageOf } from "../../spec/errors.ts";
import { encryptedPublicKey, type PassphrasePrompter, unlockKey } from "./keyFiles.ts";
import type { SshTarget } from "./target.ts";

interface Identity {
  publicKey: ParsedKey;
  sign(data: Buffer, options: SigningRequestOptions): Promise<Buffer>;
}

/**
 * All keys that a target may be shown, as an agent: ssh2 asks the host about each before it has it signed with, so a
 * passphrase is asked for only when it lets one in. Keys of the configuration come first, signed with by the
 * ssh-agent where that has them; then what else the ssh-agent has.
 */
export class KeyRing extends ssh2.BaseAgent<ParsedKey> {
  readonly #target: SshTarget;
  readonly #prompter: PassphrasePrompter | undefined;
  readonly #tried: string[];
  #identities: Identity[] = [];

  /** `tried` collects what was tried, for when nothing worked. */
  constructor(target: SshTarget, prompter: PassphrasePrompter | undefined, tried: string[]) {
    super();
    this.#target = target;
    this.#prompter = prompter;
    this.#tried = tried;
  }

  override getIdentities(take: IdentityCallback<ParsedKey>): void {
    void this.#gather().then((identities) => {
      this.#identities = identities;
      take(
        undefined,
        identities.map(({ publicKey }) => publicKey),
      );
    });
  }

  override sign(
    publicKey: ParsedKey,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    take?: SignCallback,
  ): void {
    const done = typeof options === "function" ? options : take!;
    const identity = this.#identities.find((each) => isSame(each.publicKey, publicKey));
    const signing = identity?.sign(data, typeof options === "function" ? {} : options);
    (signing ?? Promise.reject(new Error("There is no such key."))).then(
      (signature) => done(undefined, signature),
      (error: Error) => done(error),
    );
  }

  async #gather(): Promise<Identity[]> {
    const { agentSocket, identityFiles, identitiesOnly } = this.#target;
    const agent = agentSocket === undefined ? undefined : ssh2.createAgent(agentSocket);
    const held = agent ? await this.#identitiesOf(agent) : [];
    const found: Identity[] = [];
    for (const file of identityFiles) {
      const own = await this.#fromFile(file, held).catch((error: unknown) => {
        this.#tried.push(`the key ${file} (which cannot be read: ${messageOf(error)})`);
      });
      if (own && !found.some(({ publicKey }) => isSame(publicKey, own.publicKey))) found.push(own);
    }
    const others = identitiesOnly
      ? []
      : held.filter((each) => !found.some(({ publicKey }) => isSame(publicKey, each.publicKey)));
    if (others.length > 0) this.#tried.push("the keys of the ssh-agent");
    return [...found, ...others];
  }

  /** A stale SSH_AUTH_SOCK is common, and no reason to fail. */
  async #identitiesOf(agent: ssh2.BaseAgent): Promise<Identity[]> {
    try {
      const keys = await new Promise<ParsedKey[]>((resolve, reject) => {
        agent.getIdentities((error, keys = []) => (error ? reject(error) : resolve(keys as ParsedKey[])));
      });
      return keys.map((publicKey) => ({
        publicKey,
        sign: (data, options) =>
          new Promise((resolve, reject) => {
            agent.sign(publicKey, data, options, (error, signature) =>
              error ? reject(error) : resolve(signature as Buffer),
            );
          }),
      }));
    } catch (error) {
      this.#tried.push(`the ssh-agent (which does not answer: ${messageOf(error)})`);
      return [];
    }
  }

  async #fromFile(file: string, held: readonly Identity[]): Promise<Identity | undefined> {
    const text = await readFile(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
      throw error;
    });
    if (!text) return undefined;
    const parsed = ssh2.utils.parseKey(text);
    const publicKey = parsed instanceof Error ? await encryptedPublicKey(file, text) : parsed;
    const inAgent = publicKey && held.find((each) => isSame(each.publicKey, publicKey));
    if (inAgent) {
      this.#tried.push(`the key ${file} (from the ssh-agent)`);
      return inAgent;
    }
    if (!(parsed instanceof Error)) {
      if (!parsed.isPrivateKey()) return undefined;
      this.#tried.push(`the key ${file}`);
      return { publicKey: parsed, sign: (data, { hash }) => Promise.resolve(signWith(parsed, data, hash)) };
    }
    const prompter = this.#prompter;
    if (!/passphrase|encrypted/i.test(parsed.message)) throw parsed;
    if (!prompter) {
      this.#tried.push(`not the key ${file}, as nobody can be asked for its passphrase`);
      return undefined;
    }
    this.#tried.push(`the key ${file}`);
    const unlock = () => unlockKey(file, text, prompter);
    // Where the file does not say what it is the key of, it has to be opened first.
    const shown = publicKey ?? (await unlock());
    return shown && { publicKey: shown, sign: async (data, { hash }) => signWith(await unlock(), data, hash) };
  }
}

function signWith(key: ParsedKey | undefined, data: Buffer, hash: string | undefined): Buffer {
  if (!key) throw new Error("Its passphrase is not known.");
  const signature = key.sign(data, hash) as Buffer | Error;
  if (signature instanceof Error) throw signature;
  return signature;
}

function isSame(left: ParsedKey, right: ParsedKey): boolean {
  return left.getPublicSSH().equals(right.getPublicSSH());
}
