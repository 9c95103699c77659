// Numbers and texts as people read them.

/** Units of time in seconds. `m` alone is read as minutes. */
const UNITS = [[604800, "week"], [86400, "day"], [3600, "h"], [60, "min"], [1, "s"]];
const NAMES = {
  w: 604800, week: 604800, weeks: 604800, d: 86400, day: 86400, days: 86400,
  h: 3600, hr: 3600, hrs: 3600, hour: 3600, hours: 3600,
  m: 60, min: 60, mins: 60, minute: 60, minutes: 60, s: 1, sec: 1, secs: 1, second: 1, seconds: 1,
};

/** Seconds in the two largest units, as `planner-arm plan` prints them: `45 s`, `1 h 30 min`, `2 days 4 h`. */
export function time(seconds) {
  const largest = UNITS.findIndex(([size]) => seconds >= size);
  if (largest < 0) return "0 s";
  let rest = seconds;
  return UNITS.slice(largest, largest + 2).map(([size, unit]) => {
    const n = Math.floor(rest / size);
    rest %= size;
    return n && `${n} ${unit}${n > 1 && size >= 86400 ? "s" : ""}`;
  }).filter(Boolean).join(" ");
}

/** Seconds rounded as in conversation: `45 seconds`, `4 minutes`, `1.5 hours`, `3 days`. */
export function about(seconds) {
  for (const [size, unit] of [[604800, "week"], [86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]]) {
    // 59 min 40 s is an hour.
    if (seconds < 0.99 * size) continue;
    // Halves matter while there are few.
    const n = size > 1 && seconds < 5 * size ? Math.round((2 * seconds) / size) / 2 : Math.round(seconds / size);
    return `${n} ${unit}${n === 1 ? "" : "s"}`;
  }
  return "0 seconds";
}

/** The seconds that a text says, such as `90 s`, `1 h 30 min` or `2 days`; null when it says none. */
export function seconds(text) {
  const parts = [...text.matchAll(/(\d+(?:[.,]\d+)?)\s*([a-z]+)/gi)];
  const rest = text.replaceAll(/(\d+(?:[.,]\d+)?)\s*([a-z]+)/gi, "").replaceAll(/\s|,|and/gi, "");
  const sizes = parts.map(([, , unit]) => NAMES[unit.toLowerCase()]);
  if (!parts.length || rest || sizes.includes(undefined)) return null;
  return Math.round(parts.reduce((sum, [, n], i) => sum + Number(n.replace(",", ".")) * sizes[i], 0));
}

/** A number of things: `1 step`, `3 steps`. */
export const count = (n, thing) => `${n.toLocaleString("en")} ${thing}${n === 1 ? "" : "s"}`;

export const percent = (share) => `${Math.round(share * 100)}%`;

/** US dollars, with two significant digits where there are no cents. */
export function dollars(amount) {
  if (amount === 0) return "$0";
  return `$${amount >= 0.1 ? amount.toFixed(2) : amount.toFixed(Math.min(12, 1 - Math.floor(Math.log10(amount))))}`;
}

/** Control characters, and those that show what follows in another order than it is written in. */
export const STEERING = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/gu;

/** `text` without them. */
export const visible = (text) => text.replace(STEERING, (c) => (c === "\n" ? c : ""));

/** What kind of finding a code of a repair or a warning is; a new code is its own name. */
const FINDINGS = {
  arm_mapped: "Arm replaced", clamped: "Number corrected", criterion_dropped: "Criterion removed",
  dependency_added: "Dependency added", dependencies_assumed: "Dependencies assumed", dependency_dropped: "Dependency removed",
  field_filled: "Missing value filled in", step_dropped: "Step removed", steps_merged: "Steps merged",
  steps_renumbered: "Steps renumbered", verification_added: "Verification added", verification_waits: "Verification waits for all steps",
  arm_guessed: "Arm guessed", constraint_unaddressed: "Constraint not addressed", duration_implausible: "Unlikely duration",
  fields_ignored: "Fields ignored", goal_uncovered: "Part of the goal not covered", policy: "Policy", time_limit: "Longer than allowed",
  vague_action: "Vague action", vague_criterion: "Vague criterion",
};
export const finding = (code) => FINDINGS[code] ?? code.replaceAll("_", " ");
