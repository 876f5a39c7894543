/** The version of this package; a test holds it against package.json, which is not there where an agent runs. */
export const farcallVersion = "0.1.0";
