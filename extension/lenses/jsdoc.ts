import type { Comment } from "./syntax.ts";

/** Reading JSDoc: what is said before the tags, and what `@param` and `@returns` say. */

interface DocParam {
  type?: string;
  optional: boolean;
  rest: boolean;
  default?: string;
  text?: string;
}

export interface Doc {
  description?: string;
  /** In the order they are written. */
  params: Map<string, DocParam>;
  returns?: string;
}

/** The JSDoc comment that stands just before `offset`, with nothing but other comments between. */
export function docBefore(text: string, comments: readonly Comment[], offset: number): Doc | undefined {
  let low = 0;
  let high = comments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comments[middle]!.end! <= offset) low = middle + 1;
    else high = middle;
  }
  let end = offset;
  for (let index = low - 1; index >= 0; index--) {
    const comment = comments[index]!;
    if (text.slice(comment.end, end).trim() !== "") return undefined;
    if (comment.type === "CommentBlock" && comment.value.startsWith("*")) return readDoc(comment.value.slice(1));
    end = comment.start!;
  }
  return undefined;
}

/** `body` is what stands between the opening and the closing of the comment. */
function readDoc(body: string): Doc {
  const plain = body
    .split(/\r\n|\r|\n/)
    .map((line) => line.replace(/^\s*\*? ?/, "").trimEnd())
    .join("\n");
  const [description = "", ...tags] = `\n${plain}`.split(/\n[ \t]*(?=@\w)/);
  const doc: Doc = { params: new Map() };
  if (description.trim()) doc.description = description.trim();
  for (const tag of tags) {
    const [, name = "", rest = ""] = /^@(\w+)([^]*)$/.exec(tag) ?? [];
    const { type, after } = takeType(rest.trimStart());
    if (name === "description" && !doc.description && rest.trim()) doc.description = rest.trim();
    else if ((name === "returns" || name === "return") && type) doc.returns = type;
    else if (name === "param" || name === "arg" || name === "argument") readParam(doc.params, type, after);
  }
  return doc;
}

function readParam(params: Doc["params"], type: string | undefined, after: string): void {
  const bracketed = after.startsWith("[") ? takeBracketed(after, "[", "]") : undefined;
  const inner = bracketed?.inner ?? "";
  const equals = inner.indexOf("=");
  const name = bracketed ? (equals < 0 ? inner : inner.slice(0, equals)).trim() : /^[\w$.]+/.exec(after)?.[0];
  // `options.depth` says more of `options`, which is a parameter of its own.
  if (!name || !/^[\w$]+$/.test(name)) return;
  const doc: DocParam = {
    optional: bracketed !== undefined || (type?.endsWith("=") ?? false),
    rest: type?.startsWith("...") ?? false,
  };
  if (type) doc.type = plainTypeOf(type);
  if (equals >= 0 && inner.slice(equals + 1).trim()) doc.default = inner.slice(equals + 1).trim();
  const text = (bracketed?.after ?? after.slice(name.length)).trimStart().replace(/^-\s+/, "").trim();
  if (text) doc.text = text;
  params.set(name, doc);
}

function takeType(text: string): { type?: string; after: string } {
  const taken = text.startsWith("{") ? takeBracketed(text, "{", "}") : undefined;
  if (!taken) return { after: text };
  return { ...(taken.inner ? { type: taken.inner } : {}), after: taken.after.trimStart() };
}

/** What stands in brackets at the start, which may hold brackets of their own; undefined when they do not close. */
function takeBracketed(text: string, open: string, close: string): { inner: string; after: string } | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === open) depth++;
    else if (text[at] === close && --depth === 0) return { inner: text.slice(1, at).trim(), after: text.slice(at + 1) };
  }
  return undefined;
}

/** What only JSDoc writes, as TypeScript writes it. */
function plainTypeOf(type: string): string {
  const bare = type.replace(/=$/, "").trim();
  if (bare.startsWith("...")) {
    const element = bare.slice(3).trim();
    return /^[\w$.]+$/.test(element) ? `${element}[]` : `(${element.replace(/^\(([^()]*)\)$/, "$1")})[]`;
  }
  if (bare === "*" || bare === "?") return "any";
  if (/^\?./.test(bare)) return `${bare.slice(1)} | null`;
  return bare.replace(/^!/, "").replaceAll(/\.</g, "<");
}
