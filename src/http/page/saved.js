// The dialog with the plans that were made in this browser.

import { button, byId, element, isolated } from "./dom.js";
import { clear, entries, remove } from "./history.js";
import { count } from "./words.js";

const dialog = byId("history");

/** Wires the dialog; `open` is called with an entry that is chosen. */
export function wire(open) {
  byId("history-open").addEventListener("click", () => {
    fill(open);
    dialog.showModal();
  });
  byId("history-close").addEventListener("click", () => dialog.close());
  byId("history-clear").addEventListener("click", () => {
    clear();
    fill(open);
  });
}

function fill(open) {
  const list = entries();
  byId("history-clear").hidden = list.length === 0;
  byId("history-none").hidden = list.length > 0;
  byId("history-list").replaceChildren(...list.map((entry) => {
    const steps = entry.versions.at(-1).plan.plan.length;
    const date = new Date(entry.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const choose = button("", () => {
      dialog.close();
      open(entry);
    }, { class: "entry" });
    choose.append(isolated(entry.request.goal, "span", { class: "entry-goal" }),
      element("span", { class: "hint" }, `${date} · ${count(steps, "step")} · ${count(entry.versions.length, "version")}`));
    return element("li", {}, choose, button("✕", () => {
      remove(entry.id);
      fill(open);
      dialog.focus();
    }, { class: "quiet", "aria-label": `Delete the plan “${entry.request.goal.slice(0, 60)}”` }));
  }));
}
