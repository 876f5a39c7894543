import { useLab } from "./support/useLab.ts";
import { viewFiles, viewTests } from "./views.ts";
import { windowTests } from "./windows.ts";

/** What is around functions: the side bar, and windows on folders of all sorts. */
const opened = useLab({ files: viewFiles });

viewTests(opened);
windowTests(opened);
