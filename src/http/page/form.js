// The form: reading it, filling it, and marking what is wrong in it.

import { byId } from "./dom.js";
import * as options from "./options.js";
import { requestFor } from "./request.js";
import { seconds, time } from "./words.js";

const FIELDS = ["goal", "constraints", "context", "arms", "max-duration", "max-steps", "max-tier", "playbook"];
/** The field of the form for a field of the API. */
const PLACES = {
  goal: "goal", constraints: "constraints", context: "context", arms: "arms", playbook: "playbook",
  "budget.max_duration_seconds": "max-duration", "budget.max_steps": "max-steps", "budget.max_cost_tier": "max-tier",
};

/** The request that the form describes; null when it is not one yet, which is then marked. */
export function read() {
  clearFaults(...FIELDS);
  const request = requestFor(byId("goal").value, {
    constraints: byId("constraints").value.split("\n").filter((line) => line.trim()),
    context: byId("context").value.trim(),
    arms: options.chosenArms(),
    playbook: byId("playbook").value,
    fresh: byId("fresh").checked,
  });
  if (!request.goal.trim()) fault("goal", "Enter a goal.");
  if (request.context) {
    try {
      JSON.parse(request.context);
    } catch {
      fault("context", "This is not JSON. Write an object, such as {\"language\": \"Python\"}, or leave it empty.");
    }
  }
  if (request.arms?.length === 0) fault("arms", "Select at least one arm, or all of them.");
  const longest = byId("max-duration").value.trim(), steps = byId("max-steps").value.trim();
  if (longest) {
    const limit = seconds(longest);
    if (limit) request.budget.max_duration_seconds = limit;
    else fault("max-duration", "Write a duration with its unit, such as 45 min, 2 h or 3 days.");
  }
  if (steps) {
    if (/^[1-9]\d{0,3}$/.test(steps)) request.budget.max_steps = Number(steps);
    else fault("max-steps", "Write a whole number, 1 or more.");
  }
  if (byId("max-tier").value) request.budget.max_cost_tier = Number(byId("max-tier").value);
  const first = byId("form").querySelector("[aria-invalid]");
  first?.focus();
  return first ? null : request;
}

/** Fills the form with `request`. */
export function write(request) {
  clearFaults(...FIELDS);
  byId("goal").value = request.goal;
  byId("constraints").value = request.constraints.join("\n");
  byId("context").value = request.context;
  byId("fresh").checked = request.fresh;
  const { max_duration_seconds: longest, max_steps: steps, max_cost_tier: tier } = request.budget;
  byId("max-duration").value = longest ? exact(longest) : "";
  byId("max-steps").value = steps ?? "";
  byId("max-tier").value = tier ?? "";
  options.choose(request.arms, request.playbook);
  byId("more").open = Boolean(request.context || request.arms || request.playbook || longest || steps || tier);
}

/** A duration that is read as the same number of seconds. */
const exact = (limit) => (seconds(time(limit)) === limit ? time(limit) : `${limit} s`);

export function fault(field, text) {
  byId(field).setAttribute("aria-invalid", "true");
  byId(`${field}-fault`).textContent = text;
  byId(`${field}-fault`).hidden = false;
  const folded = byId(field).closest("details");
  if (folded) folded.open = true;
}

export function clearFaults(...fields) {
  for (const field of fields) {
    byId(field).removeAttribute("aria-invalid");
    byId(`${field}-fault`).hidden = true;
  }
}

/** Marks the field that a fault of the request is about. Whether there is one. */
export function mark(name, message) {
  const [, api, index] = /^([a-z_.]+)(?:\[(\d+)\])?/.exec(name) ?? [];
  const field = PLACES[api] ?? PLACES[api?.split(".")[0]];
  if (!field) return false;
  const before = byId(`${field}-fault`);
  const place = field === "constraints" && index != null ? `Constraint ${Number(index) + 1}` : "It";
  fault(field, `${before.hidden ? "" : `${before.textContent} `}${place} ${message}.`);
  return true;
}

/** Folds the form to one line that says what was asked for, or opens it again. */
export function fold(request) {
  byId("request").hidden = Boolean(request);
  byId("summary").hidden = !request;
  byId("plan").hidden = Boolean(request);
  byId("change").hidden = !request;
  if (!request) return;
  const { goal, constraints, arms, budget, playbook } = request;
  byId("summary-goal").textContent = goal;
  const facts = [
    constraints.length && `${constraints.length} constraint${constraints.length > 1 ? "s" : ""}`,
    request.context && "with context",
    arms && `${arms.length} arm${arms.length > 1 ? "s" : ""} selected`,
    budget.max_duration_seconds && `at most ${time(budget.max_duration_seconds)}`,
    budget.max_steps && `at most ${budget.max_steps} steps`,
    budget.max_cost_tier && `cost tier ${budget.max_cost_tier} at most`,
    playbook && `playbook: ${playbook}`,
  ].filter(Boolean);
  byId("summary-facts").textContent = facts.join(" · ");
}
