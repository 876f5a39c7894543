import Anser from "anser";
import { withoutReordering } from "../reordering.ts";
import { shown } from "./format.ts";

/**
 * Printed text with its colours, and nothing else of what terminals understand: no links, titles, cursor moves or
 * hidden text. Colours are the sixteen of the editor's terminal; others become the nearest of these.
 */
const maxChars = 4_000;

// A string holds no beginning of another: many beginnings without an end would each be followed to the end of the line.
const strings =
  // eslint-disable-next-line no-control-regex -- escape sequences are made of them
  /(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u0090\u0098\u009c-\u009f]*(?:\u0007|\u001b\\|\u009c)/g;
// eslint-disable-next-line no-control-regex
const sequences = /(?:\u001b\[|\u009b)([0-?]*)([ -/]*)([@-~])/g;
// eslint-disable-next-line no-control-regex
const loneEscapes = /\u001b(?!\[[0-9;]*m)[ -/]*[0-~]?/g;
// eslint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000a-\u001a\u001c-\u001f\u007f-\u009f]/g;
// eslint-disable-next-line no-control-regex
const anyControl = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
// eslint-disable-next-line no-control-regex
const colours = /\u001b\[[0-9;]*m/g;

/** The text with escape sequences for colours and styles only. */
function coloursOnly(text: string): string {
  const plain = text
    .replace(strings, "")
    .replace(sequences, (_, parameters: string, between: string, final: string) => {
      const isColour = final === "m" && between === "" && /^[0-9;:]*$/.test(parameters);
      return isColour ? `\u001b[${parameters.replaceAll(":", ";")}m` : "";
    })
    .replace(loneEscapes, "")
    .replace(controls, "");
  return withoutReordering(plain);
}

/** The text as it is read, for filters. */
export function plainText(text: string): string {
  return anyControl.test(text) ? coloursOnly(text).replace(colours, "") : text;
}

const names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const classNames = [...names, ...names.map((name) => `bright-${name}`)];
const rgb = [
  [0, 0, 0],
  [205, 49, 49],
  [13, 188, 121],
  [229, 229, 16],
  [36, 114, 200],
  [188, 63, 188],
  [17, 168, 205],
  [229, 229, 229],
  [102, 102, 102],
  [241, 76, 76],
  [35, 209, 139],
  [245, 245, 67],
  [59, 142, 234],
  [214, 112, 214],
  [41, 184, 219],
  [255, 255, 255],
];

function nearest(colour: readonly number[]): string {
  const distances = rgb.map((own) => own.reduce((sum, part, index) => sum + (part - (colour[index] ?? 0)) ** 2, 0));
  return classNames[distances.indexOf(Math.min(...distances))] ?? "white";
}

/** One of the 256: sixteen named, a cube of 6 × 6 × 6, and greys. */
function ofPalette(number: number): string {
  if (number < 16) return classNames[number] ?? "white";
  if (number >= 232) return nearest(Array.from({ length: 3 }, () => 8 + (number - 232) * 10));
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  const cube = number - 16;
  return nearest([level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)]);
}

function colourName(given: string | null, trueColour: string | null): string | undefined {
  if (!given) return undefined;
  if (given === "ansi-truecolor") return nearest((trueColour ?? "").split(",").map(Number));
  const palette = /^ansi-palette-(\d+)$/.exec(given);
  if (palette) return ofPalette(Number(palette[1]));
  const name = given.replace(/^ansi-/, "");
  return classNames.includes(name) ? name : undefined;
}

export function Ansi({ text }: { text: string }) {
  const cut = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text;
  const clean = coloursOnly(cut);
  if (!clean.includes("\u001b")) return <>{clean}</>;
  const parts = Anser.ansiToJson(clean, { json: true, use_classes: true, remove_empty: true });
  return (
    <>
      {parts.map((part, index) => {
        const foreground = colourName(part.fg, part.fg_truecolor);
        const background = colourName(part.bg, part.bg_truecolor);
        const styles = part.decorations.filter((style) => ["bold", "italic", "underline"].includes(style));
        // No colour can be read on any other, so on one the text is black or white.
        const classes = [
          ...(foreground && !background ? [`ansi-${foreground}`] : []),
          ...(background ? ["ansi-on", `ansi-on-${background}`] : []),
          ...styles.map((style) => `ansi-${style}`),
        ];
        const content = shown(part.content, maxChars);
        return classes.length > 0 ? (
          <span key={index} class={classes.join(" ")}>
            {content}
          </span>
        ) : (
          content
        );
      })}
    </>
  );
}
