// What a revision changes in the plan that it replaces.

import { byId, element, isolated } from "./dom.js";
import { about, count, time } from "./words.js";

const wordsOf = (text) => new Set(text.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter((word) => word.length > 2));

/** How alike two texts are, 0 to 1: the share of words that they have in common. */
function alike(a, b) {
  const [left, right] = [wordsOf(a), wordsOf(b)];
  const common = [...left].filter((word) => right.has(word)).length;
  return common / Math.max(1, left.size + right.size - common);
}

/** Pairs the steps of two plans: the same action first, then actions of which half the words are the same. */
function pairs(before, after) {
  const left = new Set(before), found = new Map();
  for (const step of after) {
    const same = before.find((old) => old.action === step.action);
    if (same) [found.set(step, same), left.delete(same)];
  }
  for (const step of after.filter((one) => !found.has(one))) {
    const [best, score] = [...left].map((old) => [old, alike(old.action, step.action)]).sort((a, b) => b[1] - a[1])[0] ?? [];
    if (best && score >= 0.5) [found.set(step, best), left.delete(best)];
  }
  return { found, removed: [...left] };
}

/** What is different in `step` from `old`, as `[what, before, after]`; `renumbered` maps old numbers to new ones. */
function differences(old, step, renumbered) {
  const needed = old.depends_on.map((n) => renumbered.get(n) ?? -n).sort((a, b) => Math.abs(a) - Math.abs(b));
  // What is gone has no new number.
  const list = (numbers) => (numbers.length ? numbers.map((n) => (n < 0 ? `old step ${-n}` : `step ${n}`)).join(", ") : "nothing");
  return [
    ["action", old.action, step.action],
    ["arm", old.required_arm, step.required_arm],
    ["needs", list(needed), list(step.depends_on)],
    ["time", time(old.estimated_duration_seconds), time(step.estimated_duration_seconds)],
    ["cost tier", String(old.estimated_cost_tier), String(step.estimated_cost_tier)],
    ["done when", old.acceptance_criteria.join("; "), step.acceptance_criteria.join("; ")],
  ].filter(([, a, b]) => a !== b);
}

/** Shows what `after` changes in `before`, two plans; `name` is what `before` is called. */
export function show(before, after, name) {
  const { found, removed } = pairs(before.plan, after.plan);
  const renumbered = new Map([...found].map(([step, old]) => [old.step, step.step]));
  const rows = [];
  let kept = 0;
  for (const step of after.plan) {
    const old = found.get(step);
    const changes = old && differences(old, step, renumbered);
    if (!old) rows.push(["new", step, []]);
    else if (changes.length) rows.push(["changed", step, changes]);
    else kept += 1;
  }
  for (const old of removed) rows.push(["removed", old, []]);
  const number = (kind) => rows.filter(([is]) => is === kind).length;
  const parts = [[kept, "unchanged"], [number("changed"), "changed"], [number("new"), "new"], [number("removed"), "removed"]];
  const length = ({ schedule, total_estimated_duration: total }) => schedule?.critical_path_seconds ?? total;
  const [was, is] = [length(before), length(after)];
  const faster = was === is ? "It takes as long as before." : `It takes about ${about(is)} instead of ${about(was)}.`;
  byId("compare-title").textContent = `Changes from ${name}`;
  byId("compare-sum").textContent = `${parts.filter(([n]) => n).map(([n, what], i) => (i ? `${n} ${what}` : `${count(n, "step")} ${what}`)).join(", ")}. ${faster}`;
  byId("compare-list").replaceChildren(...rows.map(row));
  byId("compare").hidden = false;
}

function row([kind, step, changes]) {
  const was = kind === "removed" ? "was step" : "step";
  return element("li", { class: kind },
    element("p", {}, element("span", { class: `kind ${kind}` }, kind), ` ${was} ${step.step}: `,
      isolated(step.action, kind === "removed" ? "del" : "span"), kind === "new" ? ` (${step.required_arm}, ${time(step.estimated_duration_seconds)})` : null),
    changes.length ? element("ul", {}, ...changes.map(([what, a, b]) => element("li", {}, `${what}: `, isolated(a, "del"), " → ", isolated(b, "ins")))) : null);
}
