import { ensureLabTools } from "./tools.ts";

/** Once for a run of tests: what simulated machines are made with is there. */
export default ensureLabTools;
