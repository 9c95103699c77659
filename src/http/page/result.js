// What surrounds the graph: totals, where the plan came from, its steps in words, findings, raw JSON.

import { byId, element, isolated } from "./dom.js";
import { json } from "./formats.js";
import { findingList, findingsOf } from "./steps.js";
import { about, count, dollars, percent, time } from "./words.js";

/** Shows `version`; `configured` is the model that should have made it, where that is known. */
export function show({ plan, notes }, configured) {
  showOrigin(plan, notes, configured);
  byId("totals").replaceChildren(...totals(plan, notes).map(total));
  byId("rationale").replaceChildren(isolated(plan.rationale || "No rationale was given."));
  showFindings(findingsOf(plan));
  byId("raw").textContent = json(plan);
  for (const id of ["totals", "parts", "tools"]) byId(id).hidden = false;
}

/** Removes everything of an earlier plan. */
export function clear() {
  for (const id of ["origin", "totals", "parts", "tools", "compare"]) byId(id).hidden = true;
  byId("copied").textContent = "";
}

/** Says plainly when the plan did not come from the configured model. */
function showOrigin(plan, notes, configured) {
  const engine = notes["x-planner-engine"], model = notes["x-planner-model"] ?? plan.usage?.model;
  let text = "";
  if (engine === "embedded") {
    // What there is to say about a service without a model, its banner says.
    text = !configured || configured === "embedded"
      ? ""
      : `Made by the embedded planner, from playbooks, because the configured model “${configured}” did not return a plan.`;
  } else if (configured && model && model !== configured) {
    text = `Made by the fallback model “${model}”, because the configured model “${configured}” did not return a plan.`;
  }
  byId("origin").textContent = text;
  byId("origin").hidden = !text;
}

const CACHE = { hit: "from the cache", coalesced: "shared with another request" };

function totals(plan, notes) {
  const { schedule } = plan;
  const model = notes["x-planner-model"] ?? plan.usage?.model ?? "?";
  const highest = Math.max(...plan.plan.map((step) => step.estimated_cost_tier));
  const total = `${time(plan.total_estimated_duration)} one after the other`;
  return [
    schedule
      ? ["Time", `About ${about(schedule.critical_path_seconds)}`, `if steps run in parallel · ${total}`, "time"]
      : ["Time", `About ${about(plan.total_estimated_duration)}`, total, "time"],
    ["Steps", String(plan.plan.length), schedule ? `critical path ${schedule.critical_path.join(" → ")}` : null],
    ["Cost of this plan", ...price(plan.usage, notes)],
    ["Cost of the steps", `tier ${highest} of 5`, "the highest of any step"],
    ["Confidence", percent(plan.confidence), null, "", plan.confidence],
    ["Complexity", percent(plan.complexity_score), null, "", plan.complexity_score],
    ["Made by", notes.edited ? "You" : isolated(model === "embedded" ? "embedded planner" : model),
      [notes.edited ? "edited by hand, checked by the planner arm" : null, notes["x-planner-playbook"] && `playbook ${notes["x-planner-playbook"]}`,
        CACHE[notes["x-planner-cache"]]].filter(Boolean).join(" · "), "model"],
  ];
}

/** What calls to language models cost. */
function price(usage, notes) {
  const calls = Number(usage?.attempts ?? notes["x-planner-attempts"] ?? 0);
  if (!calls) return ["$0", "no language model was called"];
  const tokens = count((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0), "token");
  const details = `${tokens} · ${count(calls, "call")}`;
  return usage?.cost_usd == null ? ["not known", details] : [dollars(usage.cost_usd), details];
}

function total([name, value, note, kind = "", share]) {
  const meter = share == null ? null
    : element("span", { class: "meter", "aria-hidden": "true" }, element("span", { class: "meter-fill" }));
  if (meter) meter.firstChild.style.width = `${share * 100}%`;
  return element("div", { class: `total ${kind}` },
    element("dt", {}, name),
    element("dd", {}, element("span", { class: "value" }, value), meter, note ? element("span", { class: "note" }, note) : null));
}

function showFindings(found) {
  const all = [...found].flatMap(([step, list]) => list.map((one) => ({ ...one, step })));
  all.sort((a, b) => (a.kind === b.kind ? (a.step ?? 0) - (b.step ?? 0) : a.kind === "warning" ? -1 : 1));
  byId("findings").replaceChildren(all.length ? findingList(all)
    : element("p", { class: "hint" }, "None. The plan is as the planner wrote it."));
}
