// What the service offers: arms to choose from, and playbooks.

import { byId, element, isolated } from "./dom.js";
import { get } from "./api.js";

/** With more arms than this a field to search in them is shown. */
const MANY = 12;
let arms = [], playbooks = [];
/** What a link asked for before the lists were known. */
let wanted = { arms: null, playbook: "" };

/** The arms that steps can be assigned to, which may be empty until they are loaded. */
export const known = () => arms.filter(({ available }) => available !== false);

/** Learns the lists, with `token` where the service needs one. */
export async function load(token) {
  const [listed, books] = await Promise.all([get("arms", token), get("playbooks", token)]);
  const chosen = chosenArms() ?? wanted.arms, playbook = byId("playbook").value || wanted.playbook;
  arms = (listed?.arms ?? []).filter((arm) => typeof arm?.id === "string");
  playbooks = (books?.playbooks ?? []).filter((book) => typeof book?.name === "string");
  byId("arms").hidden = arms.length === 0;
  byId("playbook-field").hidden = playbooks.length === 0;
  byId("arm-search").hidden = arms.length <= MANY;
  byId("arm-list").replaceChildren(...arms.map(row));
  byId("playbook").replaceChildren(
    element("option", { value: "" }, "The best match, if any"), element("option", { value: "none" }, "None"),
    ...playbooks.map(({ name, description }) => element("option", { value: name, title: description }, name)));
  choose(chosen, playbook);
}

function row({ id, description, available }) {
  const box = element("input", { type: "checkbox", value: id, checked: available !== false, disabled: available === false });
  return element("label", { class: "arm-choice" }, box,
    element("span", {}, isolated(id, "strong"), description ? isolated(` ${description}`, "span", { class: "hint" }) : null,
      available === false ? element("span", { class: "hint" }, " (not available now)") : null));
}

/** Those of arms that can be had now. */
const boxes = () => [...byId("arm-list").querySelectorAll("input:enabled")];

/** The ids of the selected arms; null when all are, or when none are known. */
export function chosenArms() {
  const all = boxes(), chosen = all.filter((box) => box.checked);
  return chosen.length === all.length ? null : chosen.map((box) => box.value);
}

/** Selects these arms (null: all) and this playbook. Those that do not exist here are left out. */
export function choose(ids, playbook) {
  wanted = { arms: ids, playbook };
  for (const box of boxes()) box.checked = !ids || ids.includes(box.value);
  byId("playbook").value = playbook;
  // A name that is not in the list leaves the select without a value.
  if (byId("playbook").selectedIndex < 0) byId("playbook").value = "";
  tell();
}

function tell() {
  const all = boxes(), chosen = all.filter((box) => box.checked).length;
  byId("arm-count").textContent = chosen === all.length ? `all ${all.length}` : `${chosen} of ${all.length}`;
}

export function wire() {
  byId("arm-list").addEventListener("change", tell);
  const set = (checked) => () => {
    for (const box of boxes()) if (!box.closest("label").hidden) box.checked = checked;
    tell();
  };
  byId("arms-all").addEventListener("click", set(true));
  byId("arms-none").addEventListener("click", set(false));
  byId("arm-search").addEventListener("input", ({ target }) => {
    const words = target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const label of byId("arm-list").children) {
      const text = label.textContent.toLowerCase();
      label.hidden = !words.every((word) => text.includes(word));
    }
  });
}
