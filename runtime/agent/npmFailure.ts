import { FarcallError, type FarcallErrorOptions } from "../spec/errors.ts";
import type { NpmExit } from "./npm.ts";

const headLines = 5;
const tailLines = 10;

/** Hints by what npm's output says, first match first. Codes: https://docs.npmjs.com/common-errors */
const hints: [pattern: RegExp, options: FarcallErrorOptions][] = [
  [
    /\bE404\b/,
    {
      hint: "Check the names in the env's reqs; for a private registry, the node needs an .npmrc with its address and token.",
    },
  ],
  [
    /\bETARGET\b/,
    { hint: "Check the version in the env's reqs or in the lockfile; the registry of this node does not have it." },
  ],
  [
    /\b(?:E401|E403|ENEEDAUTH)\b/,
    { hint: "The registry wants a login; put its token into the .npmrc of the user on the node." },
  ],
  [
    /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|EHOSTUNREACH|ENETUNREACH|E5\d\d)\b/,
    {
      hint: "The node cannot reach the npm registry; check its network, its proxy settings and the registry in its .npmrc.",
      retryable: true,
    },
  ],
  [
    /\bERESOLVE\b/,
    {
      hint: "The packages ask for different versions of the same peer; write versions that fit in the env's reqs, or set legacy-peer-deps=true in the .npmrc on the node.",
    },
  ],
  [
    /\bEBADENGINE\b/,
    {
      hint: `A package does not support Node ${process.versions.node}; choose another version of it in the env's reqs.`,
    },
  ],
  [
    /\bgyp\b/,
    {
      hint: "A package with native code could not be built; install python3, make and a C++ compiler on the node, or choose a version with prebuilt binaries.",
    },
  ],
];
const otherwise = "Run npm install with the same packages on the node to see more.";

/** The error for an npm that ended with another status than 0. */
export function npmFailure({ status, lines }: NpmExit): FarcallError {
  const output = lines.join("\n");
  const shown = essentialLines(lines).join("\n");
  if (/\b(?:ENOSPC|EDQUOT)\b/.test(output)) {
    return new FarcallError(
      "disk.full",
      `The disk of the node became full while npm installed the packages of an env.\n${shown}`,
      {
        hint: "Free space on the node, in Farcall's folder and in npm's cache.",
      },
    );
  }
  const ended = status === undefined ? "was ended by a signal" : `ended with status ${status}`;
  const options = hints.find(([pattern]) => pattern.test(output))?.[1] ?? { hint: otherwise };
  return new FarcallError(
    "env.install-failed",
    `Cannot install the packages of an env: npm ${ended}.\n${shown}`,
    options,
  );
}

/** npm's own error lines without their prefix, or the end of the output when there are none. */
function essentialLines(lines: readonly string[]): string[] {
  const errors = lines
    .map((line) => /^npm (?:error|ERR!) ?(.*)$/.exec(line)?.[1]?.trimEnd())
    .filter((line) => line !== undefined && line !== "" && !line.startsWith("A complete log of this run"))
    .map(String);
  const chosen = errors.length > 0 ? errors : lines.filter((line) => line.trim() !== "");
  return chosen.length <= headLines + tailLines
    ? chosen
    : [...(errors.length > 0 ? chosen.slice(0, headLines) : []), "…", ...chosen.slice(-tailLines)];
}
