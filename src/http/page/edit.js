// Editing a plan by hand: a form for one step, and the plan that comes of it, which the service validates.

import { button, byId, element, isolated } from "./dom.js";
import { known } from "./options.js";
import { PlannerError } from "./api.js";
import { seconds, time } from "./words.js";

const TIERS = ["1 (cheapest)", "2", "3", "4", "5 (most expensive)"];

/** The steps that depend on step `number`, directly or through others. */
function after(number, steps) {
  const found = new Set([number]);
  for (const { step, depends_on: needed } of steps) if (needed.some((n) => found.has(n))) found.add(step);
  return found;
}

/** `steps` numbered from 1 in their order; dependencies on what is gone are left out. */
function renumbered(steps) {
  const number = new Map(steps.map(({ step }, i) => [step, i + 1]));
  return steps.map((step) => ({
    ...step,
    step: number.get(step.step),
    depends_on: step.depends_on.map((n) => number.get(n)).filter(Boolean).sort((a, b) => a - b),
  }));
}

/** `steps` with `changed` in the place of the step with its number. */
export const replaced = (steps, changed) => steps.map((step) => (step.step === changed.step ? changed : step));

/** `steps` without step `number`; what needed it needs what it needed. */
export function without(steps, number) {
  const gone = steps.find(({ step }) => step === number);
  return renumbered(steps.filter((step) => step !== gone).map((step) =>
    step.depends_on.includes(number) ? { ...step, depends_on: [...new Set([...step.depends_on, ...gone.depends_on])] } : step));
}

/** `steps` with `added` before the last one, which checks the others and waits for it. */
function withStep(steps, added) {
  const number = Math.max(...steps.map(({ step }) => step)) + 1, last = steps.at(-1);
  return renumbered([...steps.slice(0, -1), { ...added, step: number }, { ...last, depends_on: [...last.depends_on, number] }]);
}

const blank = (steps, arm) => ({
  step: 0, action: "", required_arm: arm, acceptance_criteria: [], depends_on: steps.slice(-2, -1).map(({ step }) => step),
  estimated_cost_tier: 1, estimated_duration_seconds: 60,
});

const field = (id, label, control, hint) => element("div", { class: "field" },
  element("label", { for: id }, label, hint ? element("span", { class: "hint" }, ` ${hint}`) : null), control);

/** The arms to choose from: those of the request or of the service, and that of the step. */
function armField(step, chosen) {
  const ids = chosen ?? known().map(({ id }) => id);
  const all = [...new Set([...ids, step.required_arm])].filter(Boolean);
  const select = element("select", { id: "edit-arm" }, ...all.map((id) => element("option", { value: id, selected: id === step.required_arm }, id)));
  return select;
}

/**
 * A form for step `number` of `steps`, or for a new one where it is null. `save` is given the steps with the change and
 * what it is called, and throws `PlannerError` where the service finds fault with them; `close` leaves the form.
 */
export function editor(steps, number, { arms, save, close }) {
  const step = steps.find((one) => one.step === number) ?? blank(steps, arms?.[0] ?? known()[0]?.id ?? steps[0].required_arm);
  const later = number ? after(number, steps) : new Set([steps.at(-1).step]);
  const action = element("textarea", { id: "edit-action", rows: 3 });
  action.value = step.action;
  const criteria = element("textarea", { id: "edit-criteria", rows: 4 });
  criteria.value = step.acceptance_criteria.join("\n");
  const duration = element("input", { id: "edit-duration", type: "text", autocomplete: "off" });
  duration.value = time(step.estimated_duration_seconds);
  const shown = duration.value;
  const tier = element("select", { id: "edit-tier" }, ...TIERS.map((name, i) =>
    element("option", { value: i + 1, selected: i + 1 === step.estimated_cost_tier }, name)));
  const arm = armField(step, arms);
  const others = steps.filter((other) => !later.has(other.step)).map((other) => {
    const box = element("input", { type: "checkbox", value: other.step, checked: step.depends_on.includes(other.step) });
    return element("label", { class: "check" }, box, element("span", {}, `${other.step}. `, isolated(other.action)));
  });
  const needs = element("fieldset", { class: "needs" }, element("legend", {}, "Needs the results of"),
    ...(others.length ? others : [element("p", { class: "hint" }, "Every other step waits for this one.")]));
  const faults = element("div", { class: "faults", role: "alert" });
  const submit = element("button", { type: "submit", class: "primary" }, number ? "Save the step" : "Add the step");
  const form = element("form", { class: "editor", novalidate: true, "aria-label": number ? `Edit step ${number}` : "New step" },
    element("h2", { id: "detail-title" }, number ? `Edit step ${number}` : "New step"),
    field("edit-action", "Action", action), field("edit-arm", "Arm", arm), needs,
    field("edit-duration", "Duration", duration, "such as 90 s, 1 h 30 min or 2 days"),
    field("edit-tier", "Cost tier", tier, "a scale, not money"),
    field("edit-criteria", "Done when", criteria, "one criterion per line"), faults,
    element("div", { class: "actions" }, submit, button("Cancel", close)));
  if (number && steps.length > 1) {
    form.lastChild.append(button("Delete the step", () => attempt(without(steps, number), `Step ${number} deleted`), { class: "danger" }));
  }

  async function attempt(changed, label) {
    faults.replaceChildren();
    submit.disabled = true;
    try {
      await save(changed, label);
    } catch (error) {
      if (!(error instanceof PlannerError)) throw error;
      const all = error.faults.map(({ field: name, message }) => `${name} ${message}`);
      faults.replaceChildren(element("p", {}, "This plan would not be valid:"),
        element("ul", {}, ...(all.length ? all : [error.message]).map((text) => isolated(text, "li"))));
    } finally {
      submit.disabled = false;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    // A duration that was rounded for display stays exact unless it is changed.
    const length = duration.value === shown ? step.estimated_duration_seconds : seconds(duration.value);
    if (!length) {
      faults.replaceChildren(element("p", {}, "Write the duration with its unit, such as 90 s, 45 min or 2 days."));
      return duration.focus();
    }
    const changed = {
      ...step,
      action: action.value.trim(),
      required_arm: arm.value,
      acceptance_criteria: criteria.value.split("\n").map((line) => line.trim()).filter(Boolean),
      depends_on: [...needs.querySelectorAll("input:checked")].map((box) => Number(box.value)),
      estimated_cost_tier: Number(tier.value),
      estimated_duration_seconds: length,
    };
    if (number) attempt(replaced(steps, changed), `Step ${number} edited`);
    else attempt(withStep(steps, changed), "Step added");
  });
  return form;
}

/** Puts `form` into the drawer. */
export function showEditor(form) {
  byId("detail-place").textContent = "";
  byId("detail-body").replaceChildren(form);
  byId("detail-turn").hidden = true;
  if (!byId("detail").open) byId("detail").showModal();
  form.querySelector("textarea").focus();
}
