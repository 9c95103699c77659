// How the steps went: marks that people set, and what they mean for a plan of the rest.

import { button, byId, element } from "./dom.js";
import { count } from "./words.js";

/** The steps that `number` waits for and that are not done. */
const waitsFor = (number, { plan, marks }) =>
  plan.plan.find(({ step }) => step === number).depends_on.filter((needed) => marks[needed]?.status !== "done");

/** The marks once step `number` has `mark`, or none: what needs a step cannot be done while it is not. */
export function withMark({ plan, marks }, number, mark) {
  const next = { ...marks };
  if (mark) next[number] = mark;
  else delete next[number];
  for (const { step, depends_on: needed } of plan.plan) {
    if (next[step]?.status === "done" && needed.some((n) => next[n]?.status !== "done")) delete next[step];
  }
  return next;
}

/** The marks of `before` for the steps of `after`, which are found by their action: no two steps have the same. */
export function keptMarks({ plan, marks }, after, onlyDone = false) {
  const next = {};
  for (const old of plan.plan) {
    const mark = marks[old.step], same = after.plan.find(({ action }) => action === old.action);
    if (mark && same && (!onlyDone || mark.status === "done")) next[same.step] = mark;
  }
  return next;
}

/** The fields of a request for the rest of `version`. */
export function soFar({ plan, marks }, feedback) {
  const progress = Object.entries(marks).map(([step, { status, text }]) =>
    ({ step: Number(step), status, ...(text ? { [status === "failed" ? "reason" : "note"]: text } : {}) }));
  return { plan: plan.plan, progress, ...(feedback ? { feedback } : {}) };
}

/** Buttons that mark a step of `version`; `set` is called with the mark, or null. */
export function controls(number, version, set) {
  const mark = version.marks[number];
  const waits = waitsFor(number, version);
  const row = element("div", { class: "mark-row" });
  const fault = element("p", { class: "fault", hidden: true });
  const say = (text) => {
    fault.textContent = text;
    fault.hidden = false;
  };
  const field = element("textarea", { rows: 2, maxlength: 2000, "aria-label": "What happened", placeholder: "What was the result? Required if the step failed." });
  field.value = mark?.text ?? "";
  const press = (status) => () => {
    const text = field.value.trim();
    if (status === "done" && waits.length) return say(`It needs ${waits.map((n) => `step ${n}`).join(" and ")}, which must be done first.`);
    if (status === "failed" && !text) {
      say("Say why it failed: the new plan takes it into account.");
      return field.focus();
    }
    set({ status, ...(text ? { text } : {}) });
  };
  const pressed = (status) => ({ "aria-pressed": String(mark?.status === status), class: `set-${status}` });
  row.append(
    button("✓ Done", press("done"), pressed("done")),
    button("✕ Failed", press("failed"), pressed("failed")));
  if (mark) row.append(button("Clear", () => set(null), { class: "quiet" }));
  return element("section", { class: "marks", "aria-label": "How it went" }, element("h3", {}, "How it went"), field, fault, row);
}

/** Says how far the plan is, and names the button for what comes next. */
export function showSummary({ plan, marks }) {
  const number = (status) => Object.values(marks).filter((mark) => mark.status === status).length;
  const done = number("done"), failed = number("failed"), all = plan.plan.length;
  byId("progress").textContent = done === all
    ? `All ${count(all, "step")} are done.`
    : `${done} of ${all} steps done${failed ? `, ${failed} failed` : ""}.`;
  byId("progress-bar").value = done;
  byId("progress-bar").max = all;
  byId("revise").textContent = failed ? "Replan the rest" : "Revise the plan";
  byId("revise").disabled = done === all;
}
