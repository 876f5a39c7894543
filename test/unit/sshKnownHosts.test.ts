import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import ssh2 from "ssh2";
import { KnownHosts, parseKnownHosts } from "../../runtime/transport/ssh/knownHosts.ts";

function makeKey(type: "ed25519" | "rsa" | "ecdsa", bits?: number): Buffer {
  const { public: line } = ssh2.utils.generateKeyPairSync(type as "rsa", { bits: bits ?? 2048 });
  return Buffer.from(line.split(" ")[1]!, "base64");
}

const keys = {
  mine: makeKey("ed25519"),
  other: makeKey("ed25519"),
  rsa: makeKey("rsa"),
  ecdsa: makeKey("ecdsa", 256),
};
const types = { mine: "ssh-ed25519", other: "ssh-ed25519", rsa: "ssh-rsa", ecdsa: "ecdsa-sha2-nistp256" };

function line(names: string, which: keyof typeof keys, mark = ""): string {
  return `${mark && `${mark} `}${names} ${types[which]} ${keys[which].toString("base64")}`;
}

function hashed(name: string): string {
  const salt = Buffer.from("0123456789abcdefghij");
  const hash = createHmac("sha1", salt).update(name).digest("base64");
  return `|1|${salt.toString("base64")}|${hash}`;
}

const revoked = "@revoked";
const authority = "@cert-authority";

/** What a host that shows `keys.mine` is under known_hosts of these lines. */
const table: [what: string, name: string, lines: string[], kind: string][] = [
  ["nothing at all", "a.org", [], "unknown"],
  ["its key", "a.org", [line("a.org", "mine")], "known"],
  ["its key with a comment", "a.org", [`${line("a.org", "mine")} me@laptop`], "known"],
  ["its key between tabs and spaces", "a.org", [` ${line("a.org", "mine").replaceAll(" ", " \t")} `], "known"],
  ["its key in a file of Windows", "a.org", [`${line("a.org", "mine")}\r`], "known"],
  ["another host's key", "a.org", [line("b.org", "mine")], "unknown"],
  ["another key", "a.org", [line("a.org", "other")], "changed"],
  ["another key and its own", "a.org", [line("a.org", "other"), line("a.org", "mine")], "known"],
  ["a key of another type", "a.org", [line("a.org", "rsa")], "changed"],
  ["keys of three types", "a.org", [line("a.org", "rsa"), line("a.org", "ecdsa"), line("a.org", "mine")], "known"],
  ["a comment", "a.org", [`# ${line("a.org", "mine")}`], "unknown"],
  ["empty lines", "a.org", ["", "  ", line("a.org", "mine")], "known"],
  ["capitals", "a.org", [line("A.Org", "mine")], "known"],
  ["a list of names", "a.org", [line("b.org,a.org,10.0.0.7", "mine")], "known"],
  ["an address", "10.0.0.7", [line("b.org,a.org,10.0.0.7", "mine")], "known"],
  ["a longer name", "a.org", [line("aa.org", "mine"), line("a.org.uk", "other")], "unknown"],
  ["a dot that is no pattern", "a.org", [line("axorg", "other")], "unknown"],
  ["a star", "web.a.org", [line("*.a.org", "mine")], "known"],
  ["a star that needs more", "a.org", [line("*.a.org", "mine")], "unknown"],
  ["a star for nothing", "a.org", [line("a*.org", "mine")], "known"],
  ["a star for all", "a.org", [line("*", "other")], "changed"],
  ["a question mark", "web1.a.org", [line("web?.a.org", "mine")], "known"],
  ["a question mark for nothing", "web.a.org", [line("web?.a.org", "mine")], "unknown"],
  ["a negated name", "a.org", [line("*.org,!a.org", "mine")], "unknown"],
  ["a negated name in front", "a.org", [line("!a.org,*.org", "other")], "unknown"],
  ["a negated pattern", "web.a.org", [line("*,!*.a.org", "other")], "unknown"],
  ["a negated name that is another", "b.org", [line("*.org,!a.org", "mine")], "known"],
  ["only a negated name", "b.org", [line("!a.org", "mine")], "unknown"],
  ["a port", "[a.org]:2222", [line("[a.org]:2222", "mine")], "known"],
  ["another port", "[a.org]:2222", [line("[a.org]:2223", "mine")], "unknown"],
  ["a port with another key", "[a.org]:2222", [line("a.org", "mine"), line("[a.org]:2222", "other")], "changed"],
  ["brackets that are no pattern", "a", [line("[abc]", "mine")], "unknown"],
  ["an address of IPv6", "::1", [line("::1", "mine")], "known"],
  ["a port of IPv6", "[::1]:2222", [line("[::1]:2222", "mine")], "known"],
  ["a hashed name", "a.org", [line(hashed("a.org"), "mine")], "known"],
  ["a hashed name of another", "a.org", [line(hashed("b.org"), "other")], "unknown"],
  ["a hashed name with another key", "a.org", [line(hashed("a.org"), "other")], "changed"],
  ["a hashed port", "[a.org]:2222", [line(hashed("[a.org]:2222"), "mine")], "known"],
  ["its key, revoked", "a.org", [line("a.org", "mine", revoked)], "revoked"],
  ["its key, revoked everywhere", "a.org", [line("a.org", "mine"), line("*", "mine", revoked)], "revoked"],
  ["its key, hashed and revoked", "a.org", [line(hashed("a.org"), "mine", revoked)], "revoked"],
  ["its key, revoked for another", "a.org", [line("a.org", "mine"), line("b.org", "mine", revoked)], "known"],
  ["another key, revoked", "a.org", [line("a.org", "mine"), line("a.org", "other", revoked)], "known"],
  ["only another key, revoked", "a.org", [line("a.org", "other", revoked)], "unknown"],
  ["its key as an authority", "a.org", [line("a.org", "mine", authority)], "unknown"],
  ["another authority", "a.org", [line("*.org", "other", authority), line("a.org", "mine")], "known"],
  ["a mark that nobody knows", "a.org", [line("a.org", "mine", "@trusted")], "unknown"],
  ["no key", "a.org", ["a.org", "a.org ssh-ed25519", "a.org ssh-ed25519 !!!!"], "unknown"],
  ["a key of another type than it says", "a.org", [line("a.org", "mine").replace("ssh-ed25519", "ssh-rsa")], "unknown"],
  ["half a key", "a.org", [line("a.org", "mine").slice(0, -20)], "changed"],
];

describe("known_hosts", () => {
  it.each(table)("with %s makes %s what it is", (_what, name, lines, kind) => {
    expect(new KnownHosts(parseKnownHosts(lines.join("\n"), "file")).check(name, keys.mine).kind).toBe(kind);
  });

  it("says which lines a changed key is known from, and which types to ask for", () => {
    const hosts = new KnownHosts(
      parseKnownHosts([line("b.org", "mine"), line("a.org", "rsa"), "", line("*.org", "other")].join("\n"), "file"),
    );
    expect(hosts.check("a.org", keys.ecdsa)).toMatchObject({
      known: [
        { file: "file", line: 2 },
        { file: "file", line: 4 },
      ],
    });
    expect(hosts.typesFor("a.org")).toEqual(["ssh-rsa", "ssh-ed25519"]);
    expect(hosts.typesFor("b.net")).toEqual([]);
  });
});
