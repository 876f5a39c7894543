import type { EditorWindow } from "./window.ts";

/** What screenshots show: a name, and how to get there in a window on the word-counts example. */
export const scenes: Record<string, (window: EditorWindow) => Promise<void>> = {
  lenses: async (window) => {
    await window.openFile("words.ts");
    await window.waitForLens("Run remotely");
  },
};

/** Scenes of the README, of which pictures in a dark and a light theme are kept in `media/screenshots`. */
export const readmeScenes: ReadonlySet<string> = new Set(["lenses"]);
