// The tabs over the plan: graph, timeline, list. On phones the list comes first.

import { byId } from "./dom.js";

const NAMES = ["graph", "timeline", "list"];
const tab = (name) => byId(`tab-${name}`);

/** Shows the view `name`. */
export function show(name) {
  for (const other of NAMES) {
    tab(other).setAttribute("aria-selected", String(other === name));
    tab(other).tabIndex = other === name ? 0 : -1;
    byId(`view-${other}`).classList.toggle("off", other !== name);
  }
  byId("zoom").hidden = name !== "graph";
}

export function wire() {
  for (const name of NAMES) tab(name).addEventListener("click", () => show(name));
  byId("tabs").addEventListener("keydown", ({ key }) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!by) return;
    const now = NAMES.findIndex((name) => tab(name).tabIndex === 0);
    const next = NAMES[(now + by + NAMES.length) % NAMES.length];
    show(next);
    tab(next).focus();
  });
  show(matchMedia("(max-width: 640px)").matches ? "list" : "graph");
}
