// A request as the page keeps it, as JSON for the service, and as the fragment of a link.
//
// `{goal, constraints, context, arms, budget, playbook, fresh}`: `context` is JSON text, since a number in it may be longer
// than what JavaScript makes of it; `arms` is null for all; `fresh` skips the cache.

/** A request for `goal`, with nothing else asked for. */
export const requestFor = (goal, more = {}) =>
  ({ goal, constraints: [], context: "", arms: null, budget: {}, playbook: "", fresh: false, ...more });

/** The body that asks for `request`, with `more` fields. */
export function bodyOf({ goal, constraints, context, arms, budget, playbook }, more = {}) {
  const fields = { goal };
  if (constraints.length) fields.constraints = constraints;
  if (arms) fields.arms = arms;
  if (Object.keys(budget).length) fields.budget = budget;
  if (playbook) fields.playbook = playbook;
  const body = JSON.stringify({ ...fields, ...more });
  return context ? `${body.slice(0, -1)},"context":${context}}` : body;
}

const LIMITS = ["max_duration_seconds", "max_cost_tier", "max_steps"];

/** The request as parameters. The fragment of an address never leaves the browser. */
export function toFragment(request) {
  const fields = new URLSearchParams({ goal: request.goal });
  for (const text of request.constraints) fields.append("constraint", text);
  if (request.context) fields.set("context", request.context);
  for (const arm of request.arms ?? []) fields.append("arm", arm);
  for (const limit of LIMITS) if (request.budget[limit]) fields.set(limit, request.budget[limit]);
  if (request.playbook) fields.set("playbook", request.playbook);
  if (request.fresh) fields.set("fresh", "1");
  return `#${fields}`;
}

/** The request that an address names, or null. What is malformed in it is left out: the form shows what is left. */
export function fromFragment(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const goal = fields.get("goal");
  if (!goal) return null;
  const arms = fields.getAll("arm");
  const budget = {};
  for (const limit of LIMITS) if (/^[1-9]\d{0,8}$/.test(fields.get(limit) ?? "")) budget[limit] = Number(fields.get(limit));
  return requestFor(goal, {
    constraints: fields.getAll("constraint").filter((text) => text.trim()),
    context: fields.get("context") ?? "",
    arms: arms.length ? arms : null,
    budget,
    playbook: fields.get("playbook") ?? "",
    fresh: fields.get("fresh") === "1",
  });
}
