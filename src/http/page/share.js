// Copies and files of the plan.

import { byId, element } from "./dom.js";
import { curl, json, markdown, mermaid } from "./formats.js";
import { picture } from "./picture.js";
import { bodyOf, toFragment } from "./request.js";
import { PLAN } from "./api.js";
import { about, count, time, visible } from "./words.js";

const FORMATS = {
  json: { type: "application/json", ending: "json", text: ({ version }) => json(version.plan) + "\n" },
  mermaid: { type: "text/plain", ending: "mmd", text: ({ version }) => mermaid(version.plan.plan) },
  markdown: { type: "text/markdown", ending: "md", text: ({ request, version }) => markdown(request, version.plan, version.marks) },
  svg: { type: "image/svg+xml", ending: "svg", text: drawing },
  curl: { text: ({ request, hasToken }) => curl(new URL(PLAN, document.baseURI).href, bodyOf(request), { fresh: request.fresh, hasToken }) },
  link: { text: ({ request }) => new URL(toFragment(request), document.baseURI).href },
};

function drawing({ request, version, graph }) {
  const { plan } = version, seconds = plan.schedule?.critical_path_seconds ?? plan.total_estimated_duration;
  const { steps, drawn, critical, path } = graph;
  const facts = `${count(steps.length, "step")} · about ${about(seconds)} if steps run in parallel · ${time(plan.total_estimated_duration)} one after the other`;
  return picture({ steps, drawn, critical, path, hue: (arm) => graph.hue(arm) }, request.goal, facts);
}

/** Wires the buttons; `what()` gives `{request, version, graph, hasToken}`. */
export function wire(what) {
  const say = (text) => (byId("copied").textContent = text);
  const menu = byId("export");
  menu.addEventListener("click", async ({ target }) => {
    const { copy: copied, save } = target.closest("button")?.dataset ?? {};
    if (copied) say(await copy(FORMATS[copied].text(what())) ? "Copied." : "This browser does not allow this page to copy.");
    if (save) {
      const name = download(FORMATS[save], what());
      say(`Saved as ${name}.`);
    }
  });
  byId("copy-link").addEventListener("click", async () =>
    say(await copy(FORMATS.link.text(what())) ? "Link copied." : "This browser does not allow this page to copy."));
  // A click outside closes a menu.
  document.addEventListener("pointerdown", ({ target }) => menu.contains(target) || (menu.open = false));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  byId("print").addEventListener("click", () => print());
}

/** Saves the plan as a file that is called after the goal; gives its name. */
function download({ type, ending, text }, what) {
  const words = visible(what.request.goal).toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const name = `${[...["plan", ...words].join("-")].slice(0, 48).join("").replace(/-$/, "")}.${ending}`;
  const link = element("a", { href: URL.createObjectURL(new Blob([text(what)], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  return name;
}

/** On insecure origins, text can only be copied through a selection. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const before = document.activeElement;
    const field = element("textarea", { class: "unseen", "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before?.focus();
    return done;
  }
}
