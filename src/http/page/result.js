// What stands beside the graph: totals, where the plan came from, its steps in words, repairs, raw JSON.

import { byId, element, said } from "./dom.js";
import { cost } from "./graph.js";
import { count, json, time } from "./words.js";

/** Shows the plan `plan`; `configured` is the model that should have made it, where that is known. */
export function show(plan, notes, configured, hue) {
  showOrigin(plan, notes, configured);
  byId("totals").replaceChildren(...totals(plan, notes).map(total));
  byId("steps").replaceChildren(...plan.plan.map((step) => {
    const item = element("li", {}, ...inWords(step, plan, true));
    item.style.setProperty("--hue", hue(step.required_arm));
    return item;
  }));
  byId("rationale").replaceChildren(said(plan.rationale || "None was given."));
  showRepairs(plan.repairs ?? []);
  byId("raw").textContent = json(plan);
  for (const id of ["totals", "parts", "copies"]) byId(id).hidden = false;
}

/** Nothing of an earlier plan stays beside a new one. */
export function clear() {
  for (const id of ["origin", "totals", "parts", "copies"]) byId(id).hidden = true;
  byId("copied").textContent = "";
}

/** Says plainly when the plan did not come from the configured model. */
function showOrigin(plan, notes, configured) {
  const engine = notes["x-planner-engine"], model = notes["x-planner-model"] ?? plan.usage?.model;
  let text = "";
  if (engine === "embedded") {
    text = !configured || configured === "embedded"
      ? "Made by the embedded planner: by rules, without a language model."
      : `Made by the embedded planner, by rules, because the configured model “${configured}” did not give a plan.`;
  } else if (configured && model && model !== configured) {
    text = `Made by the fallback model “${model}”, because the configured model “${configured}” did not give a plan.`;
  }
  byId("origin").textContent = text;
  byId("origin").hidden = !text;
}

const CACHE = {
  hit: "from the cache", miss: "made anew", coalesced: "shared with a call at the same time",
  bypass: "made anew, past the cache", off: "no cache",
};

function totals(plan, notes) {
  const { schedule, usage } = plan;
  const tiers = plan.plan.map((step) => step.estimated_cost_tier);
  const model = notes["x-planner-model"] ?? usage?.model ?? "?";
  const attempts = Number(notes["x-planner-attempts"] ?? usage?.attempts ?? 0);
  const tokens = usage ? usage.prompt_tokens + usage.completion_tokens : 0;
  const price = usage?.cost_usd == null ? "price not known" : `$${usage.cost_usd.toFixed(usage.cost_usd ? 6 : 2)}`;
  return [
    ["Time in all", time(plan.total_estimated_duration), count(plan.plan.length, "step")],
    schedule && ["Critical path", time(schedule.critical_path_seconds), schedule.critical_path.join(" → "), "critical"],
    ["Cost tiers", String(tiers.reduce((sum, tier) => sum + tier, 0)), `highest ${Math.max(...tiers)} of 5`],
    ["Confidence", percent(plan.confidence), null, "", plan.confidence],
    ["Complexity", percent(plan.complexity_score), null, "", plan.complexity_score],
    ["Made by", said(model), [
      CACHE[notes["x-planner-cache"]],
      count(attempts, "call"),
      attempts && tokens ? `${count(tokens, "token")}, ${price}` : null,
    ].filter(Boolean).join(" · "), "model"],
  ].filter(Boolean);
}

const percent = (share) => `${Math.round(share * 100)} %`;

function total([name, value, note, kind = "", share]) {
  const meter = share == null ? null
    : element("span", { class: "meter", "aria-hidden": "true" }, element("span", { class: "meter-fill" }));
  if (meter) meter.firstChild.style.width = `${share * 100}%`;
  return element("div", { class: `total ${kind}` },
    element("dt", {}, name),
    element("dd", {}, element("span", { class: "value" }, value), meter, note ? element("span", { class: "note" }, note) : null));
}

/** A step with everything that is known of it. */
export function inWords(step, plan, inList, open) {
  const critical = plan?.schedule?.critical_path.includes(step.step);
  const needs = plan?.plan.filter((other) => other.depends_on.includes(step.step)).map((other) => other.step) ?? [];
  return [
    element(inList ? "h4" : "h2", inList ? {} : { id: "detail-title" },
      element("span", { class: "number" }, element("span", { class: "unseen" }, "Step "), String(step.step)), " ",
      said(step.action, "span")),
    element("p", { class: "facts" },
      said(step.required_arm, "span", { class: "arm" }),
      element("span", {}, time(step.estimated_duration_seconds)),
      cost(step.estimated_cost_tier),
      critical ? element("span", { class: "flag" }, "critical path") : null,
      inList && step.depends_on.length ? element("span", {}, `after ${step.depends_on.join(", ")}`) : null),
    inList ? null : element("h3", {}, "Done when"),
    element("ul", { class: "criteria" }, ...step.acceptance_criteria.map((text) => said(text, "li"))),
    ...(inList ? [] : [
      links("Needs", step.depends_on, "nothing; it can begin at once", open),
      links("Needed by", needs, "no other step", open),
    ]),
  ].filter(Boolean);
}

function links(title, numbers, none, open) {
  const buttons = numbers.map((number) => {
    const button = element("button", { type: "button" }, `Step ${number}`);
    button.addEventListener("click", () => open(number));
    return button;
  });
  return element("div", { class: "links" }, element("h3", {}, title), ...(buttons.length ? buttons : [none]));
}

function showRepairs(repairs) {
  const rows = repairs.map(({ code, step, message }) =>
    element("li", {}, element("code", {}, code), " ", step == null ? null : `Step ${step}: `, said(message)));
  byId("repairs").replaceChildren(
    rows.length ? element("ul", { class: "repairs" }, ...rows)
      : element("p", { class: "hint" }, "None: this is what the planner said, unchanged."));
}
