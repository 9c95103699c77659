// A plan in other formats: Mermaid (that of `planner-arm plan`), Markdown, JSON; and a request as a curl command.

import { about, count, percent, STEERING, time, visible } from "./words.js";

const MERMAID = { '"': "#quot;", "#": "#35;", "&": "#amp;", "<": "#lt;", ">": "#gt;", "`": "#96;", "\n": " " };

const label = (text) => visible(text).replace(/["#&<>`\n]/g, (c) => MERMAID[c]);

/** The plan as a Mermaid flowchart, one node a step. */
export function mermaid(steps) {
  const nodes = steps.map(
    ({ step, action, required_arm: arm, estimated_duration_seconds: seconds }) =>
      `    s${step}["${step}. ${label(action)}<br/>${label(arm)} · ${time(seconds)}"]\n`,
  );
  const edges = steps.flatMap(({ step, depends_on: needed }) => needed.map((n) => `    s${n} --> s${step}\n`));
  return `flowchart LR\n${nodes.join("")}${edges.join("")}`;
}

/** A text that Markdown shows as it is, on one line. */
const plain = (text) => visible(text).replaceAll(/\s*\n\s*/g, " ").replace(/[\\`*_{}[\]<>#|~!&]/g, "\\$&");

/** The plan as a document: a task list with a graph that GitHub and others draw. `marks` says what is done. */
export function markdown({ goal, constraints }, plan, marks = {}) {
  const { schedule } = plan;
  const facts = [
    schedule && `About ${about(schedule.critical_path_seconds)} if steps run in parallel`,
    `${time(plan.total_estimated_duration)} one after the other`,
    count(plan.plan.length, "step"), `confidence ${percent(plan.confidence)}`,
  ].filter(Boolean);
  const steps = plan.plan.map((step) => {
    const { status, text } = marks[step.step] ?? {};
    const box = status === "done" ? "x" : " ";
    const after = step.depends_on.length ? `after ${step.depends_on.join(", ")}` : null;
    const details = [plain(step.required_arm), time(step.estimated_duration_seconds), `cost tier ${step.estimated_cost_tier} of 5`, after];
    const failed = status === "failed" ? [`   - **Failed:** ${plain(text)}`] : [];
    return [`${step.step}. [${box}] **${plain(step.action)}**  `, `   ${details.filter(Boolean).join(" · ")}`, ...failed,
      ...step.acceptance_criteria.map((criterion) => `   - [${box}] ${plain(criterion)}`)].join("\n");
  });
  const warnings = (plan.warnings ?? []).map(({ step, message }) => `- ${step ? `Step ${step}: ` : ""}${plain(message)}`);
  return [
    `# ${plain(goal)}`, `${facts.join(" · ")}.`,
    ...(constraints.length ? ["## Constraints", constraints.map((text) => `- ${plain(text)}`).join("\n")] : []),
    "## Steps", steps.join("\n"), ...(warnings.length ? ["## Warnings", warnings.join("\n")] : []), "## Graph", `\`\`\`mermaid\n${mermaid(plan.plan)}\`\`\``,
    ...(plan.rationale ? ["## Rationale", plain(plan.rationale)] : []),
  ].join("\n\n") + "\n";
}

/** `value` as JSON for people, with that escaped which would show in another order than it is written in. */
export function json(value) {
  const escape = (c) => (c === "\n" ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return JSON.stringify(value, null, 2).replace(STEERING, escape);
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The call for `body`, for a POSIX shell. The token is `$TOKEN` in it. */
export function curl(url, body, { fresh = false, hasToken = false } = {}) {
  const lines = [`curl -sS ${quoted(url)}`, "-H 'Content-Type: application/json'"];
  if (hasToken) lines.push('-H "Authorization: Bearer $TOKEN"');
  if (fresh) lines.push("-H 'Cache-Control: no-cache'");
  return [...lines, `-d ${quoted(body)}`].join(" \\\n  ") + "\n";
}
