import { render } from "preact";
import "@vscode/codicons/dist/codicon.css";
import "../ui/base.css";
import "./cluster.css";
import { App } from "./app.tsx";

const page = document.getElementById("app");
if (page) render(<App />, page);
