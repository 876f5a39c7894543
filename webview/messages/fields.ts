import * as v from "valibot";

/**
 * Every message between a panel's page and the extension. Both sides check what they are sent against these
 * schemas: the page shows what came from afar, and the extension must not do what only a broken page would ask.
 *
 * A page is thrown away while its panel is hidden and messages to it are lost, so it says `ready` when it is
 * there, is sent everything anew, and keeps nothing but which tab, filter and sort it shows.
 */

export const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/** Of a text in a message. What a page would send must not be longer, or it is not heard. */
export const maxTextChars = 2_000_000;
export const text = v.pipe(v.string(), v.maxLength(maxTextChars));
export const shortText = v.pipe(v.string(), v.maxLength(4_096));
