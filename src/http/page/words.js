// Plans as texts: times, Mermaid, curl, JSON. The first two are those of `planner-arm plan`.

/** Seconds as people say them: `45 s`, `2 min`, `1 h 30 min`. */
export function time(seconds) {
  const parts = [[Math.floor(seconds / 3600), "h"], [Math.floor(seconds / 60) % 60, "min"], [seconds % 60, "s"]];
  return parts.filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(" ") || "0 s";
}

/** A number of things: `1 step`, `3 steps`. */
export const count = (n, thing) => `${n.toLocaleString("en")} ${thing}${n === 1 ? "" : "s"}`;

/** Control characters, and those that show what follows in another order than it is written in. */
const STEERING = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/gu;

/** `text` without them. */
export const visible = (text) => text.replace(STEERING, (c) => (c === "\n" ? c : ""));

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

/** `value` as JSON for people, with that escaped which would show in another order than it is written in. */
export function json(value) {
  const escape = (c) => (c === "\n" ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return JSON.stringify(value, null, 2).replace(STEERING, escape);
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The call that was made, for a POSIX shell. The token is `$TOKEN` in it. */
export function curl(url, { body, anew }, hasToken) {
  const lines = [`curl -sS ${quoted(url)}`, "-H 'Content-Type: application/json'"];
  if (hasToken) lines.push('-H "Authorization: Bearer $TOKEN"');
  if (anew) lines.push("-H 'Cache-Control: no-cache'");
  return [...lines, `-d ${quoted(body)}`].join(" \\\n  ") + "\n";
}
