// Steps in words: for the list and for the drawer.

import { button, element, isolated } from "./dom.js";
import { cost, mark } from "./graph.js";
import { finding, time, visible } from "./words.js";

/** What was found about each step, and under `null` about the whole plan: `{kind, code, message}`. */
export function findingsOf({ warnings, repairs }) {
  const found = new Map();
  for (const [kind, list] of [["warning", warnings ?? []], ["repair", repairs ?? []]]) {
    for (const { code, step, message } of list) {
      const key = step ?? null;
      found.set(key, [...(found.get(key) ?? []), { kind, code, message }]);
    }
  }
  return found;
}

/** Findings as a list. */
export const findingList = (findings) => element("ul", { class: "findings" }, ...findings.map(({ kind, code, message, step }) =>
  element("li", { class: kind },
    element("strong", {}, element("span", { "aria-hidden": "true" }, kind === "warning" ? "⚠ " : "✎ "), finding(code), step ? ` in step ${step}` : ""),
    " ", quoting(message))));

/** A message in which text between backticks is code. */
export function quoting(message) {
  const text = isolated("");
  text.append(...visible(message).split(/`([^`]+)`/).map((part, i) => (i % 2 ? element("code", {}, part) : part)));
  return text;
}

/** A step with everything that is known of it, under a heading of `level`. */
export function inWords(step, version, level, more = []) {
  const { plan, marks = {} } = version ?? {};
  const critical = plan?.schedule?.critical_path.includes(step.step);
  const { status, text } = marks[step.step] ?? {};
  const findings = plan ? (findingsOf(plan).get(step.step) ?? []) : [];
  return [
    element(level, level === "h2" ? { id: "detail-title" } : {},
      element("span", { class: "number" }, element("span", { class: "unseen" }, "Step "), String(step.step)), " ",
      isolated(step.action, "span")),
    element("p", { class: "facts" },
      isolated(step.required_arm, "span", { class: "arm" }),
      element("span", {}, time(step.estimated_duration_seconds)),
      cost(step.estimated_cost_tier),
      status ? mark(status) : null,
      critical ? element("span", { class: "flag" }, "critical path") : null,
      level === "h3" && step.depends_on.length ? element("span", {}, `after ${step.depends_on.join(", ")}`) : null),
    text ? element("p", { class: `mark-text ${status}` }, status === "failed" ? "Failed: " : "Result: ", isolated(text)) : null,
    level === "h3" ? null : element("h3", {}, "Done when"),
    element("ul", { class: "criteria" }, ...step.acceptance_criteria.map((criterion) => isolated(criterion, "li"))),
    findings.length ? findingList(findings) : null,
    ...more,
  ].filter(Boolean);
}

/** What `step` needs and what needs it, as buttons that open those steps. */
export function neighbours(step, steps, open) {
  const needs = steps.filter((other) => other.depends_on.includes(step.step)).map((other) => other.step);
  const links = (title, numbers, none) => element("div", { class: "links" }, element("h3", {}, title),
    ...(numbers.length ? numbers.map((number) => button(`Step ${number}`, () => open(number))) : [none]));
  return [links("Needs", step.depends_on, "nothing; it can start at once"), links("Needed by", needs, "no other step")];
}
