import { callFiles, callTests } from "./calls.ts";
import { mapFiles, mapTests } from "./maps.ts";
import { useLab } from "./support/useLab.ts";

/** Functions that are run, once and over many inputs. In one window, as a window takes longer to open than most tests. */
const opened = useLab({ files: { ...callFiles, ...mapFiles } });

callTests(opened);
mapTests(opened);
