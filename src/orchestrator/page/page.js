// The tasks, the newest first, and the plan of each that is opened. Nothing on this page is ever read as HTML.

const REFRESH_MS = 2000;
const PAGE_SIZE = 50;

const byId = (id) => document.getElementById(id);
const [filter, refresh, list, older, newer] = ["status", "refresh", "tasks", "older", "newer"].map(byId);

/** The rows that are shown, by the ids of their tasks. */
const rows = new Map();
/** The value of `after` of each page up to this one. */
let pages = [null];
/** The value of `after` of the next page. */
let next = null;
let timer;
/** Counts loads, so that an answer that was overtaken is dropped. */
let loads = 0;

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** A text of a caller or an LLM, isolated: its direction is its own, and ends with it. */
const isolated = (text, attributes = {}) => element("bdi", { dir: "auto", ...attributes }, text);

const say = (text) => (byId("said").textContent = text);
const fail = (error) => (byId("error").textContent = error?.message ?? "");

async function call(path, options) {
  const response = await fetch(path, options).catch(() => {
    throw new Error("The orchestrator cannot be reached.");
  });
  const body = await response.json().catch(() => null);
  if (!response.ok || !body) throw new Error(body?.detail ?? `The orchestrator answered with status ${response.status}.`);
  return body;
}

function duration(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].map(([unit, name], i, units) => {
    const count = Math.floor((i ? seconds % units[i - 1][0] : seconds) / unit);
    return count && `${count} ${name}`;
  });
  return parts.filter(Boolean).slice(0, 2).join(" ") || "0 s";
}

/** Seconds that `steps` take if those that do not depend on each other run in parallel. */
function criticalSeconds(steps) {
  const ends = new Map();
  for (const { step, depends_on, estimated_duration_seconds } of steps) {
    ends.set(step, Math.max(0, ...depends_on.map((earlier) => ends.get(earlier))) + estimated_duration_seconds);
  }
  return Math.max(...ends.values());
}

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

function step({ step, action, required_arm, acceptance_criteria, depends_on, estimated_duration_seconds }) {
  const needed = depends_on.length ? `, after ${depends_on.join(", ")}` : "";
  return element("li", { value: step },
    isolated(action),
    element("p", { class: "more" }, isolated(required_arm), `, ${duration(estimated_duration_seconds)}${needed}`),
    element("ul", {}, ...acceptance_criteria.map((criterion) => element("li", {}, isolated(criterion)))));
}

/** Details of a task, in addition to its row. */
function inside({ task_id, result, error, processing_time_ms }) {
  const parts = [];
  if (error) parts.push(element("p", { class: "why" }, isolated(error)));
  if (result) {
    parts.push(element("ol", { class: "steps" }, ...result.plan.map(step)));
    parts.push(element("p", {}, isolated(result.rationale)));
    const confidence = `confidence ${Math.round(result.confidence * 100)}%`;
    const least = `about ${duration(criticalSeconds(result.plan))} if steps run in parallel`;
    const most = `${duration(result.total_estimated_duration)} one after the other`;
    parts.push(element("p", { class: "more" }, `${least}, ${most}, ${confidence}`));
  } else if (!error) {
    parts.push(element("p", { class: "more" }, "No plan."));
  }
  const took = processing_time_ms === null ? "" : `, ended ${(processing_time_ms / 1000).toFixed(1)} s after its first attempt started`;
  parts.push(element("p", { class: "more" }, "Task ", element("a", { href: `tasks/${task_id}` }, task_id), took));
  return parts;
}

class Row {
  constructor() {
    this.status = element("span");
    this.goal = isolated("", { class: "goal" });
    this.facts = element("span", { class: "facts" });
    this.inside = element("div", { class: "inside" });
    this.details = element("details", {}, element("summary", {}, this.status, this.goal, this.facts), this.inside);
    this.cancel = element("button", { type: "button" }, "Cancel");
    this.node = element("li", { class: "task" }, this.details, this.cancel);
    this.details.addEventListener("toggle", () => this.details.open && this.load());
    this.cancel.addEventListener("click", () => this.stop());
  }

  show(task) {
    const before = this.task;
    if (before && JSON.stringify(before) === JSON.stringify(task)) return;
    this.task = task;
    this.status.className = `status ${task.status}`;
    this.status.textContent = task.status;
    this.goal.textContent = task.goal;
    const created = new Date(task.created_at);
    const time = element("time", { datetime: task.created_at }, created.toLocaleString());
    const what = task.steps !== null ? `${plural(task.steps, "step")}, ` : task.assigned_arm ? "not planned, " : "";
    this.facts.replaceChildren(what, time);
    this.cancel.hidden = !["pending", "processing"].includes(task.status);
    this.cancel.setAttribute("aria-label", `Cancel: ${task.goal.slice(0, 100)}`);
    if (this.details.open) this.load();
  }

  async load() {
    try {
      this.inside.replaceChildren(...inside(await call(`tasks/${this.task.task_id}`)));
    } catch (error) {
      fail(error);
    }
  }

  async stop() {
    this.cancel.disabled = true;
    try {
      await call(`tasks/${this.task.task_id}/cancel`, { method: "POST" });
      say("The task is cancelled.");
      // The button goes.
      this.details.querySelector("summary").focus();
      await load();
    } catch (error) {
      fail(error);
    }
    this.cancel.disabled = false;
  }
}

/** Loads this page of the list and shows it; rows that stay keep what is open in them. */
async function load() {
  clearTimeout(timer);
  const mine = (loads += 1);
  const query = new URLSearchParams({ status: filter.value, limit: PAGE_SIZE, after: pages.at(-1) ?? "" });
  try {
    const answer = await call(`tasks?${query}`);
    if (mine !== loads) return;
    show(answer);
    fail(null);
  } catch (error) {
    if (mine !== loads) return;
    fail(error);
  }
  if (refresh.checked && !document.hidden) timer = setTimeout(load, REFRESH_MS);
}

function show(answer) {
  next = answer.next;
  const shown = new Set(answer.tasks.map((task) => task.task_id));
  for (const [id, row] of rows) {
    if (!shown.has(id)) {
      row.node.remove();
      rows.delete(id);
    }
  }
  answer.tasks.forEach((task, index) => {
    const row = rows.get(task.task_id) ?? new Row();
    rows.set(task.task_id, row);
    row.show(task);
    // Moving a row would take the focus from what is in it.
    if (list.children[index] !== row.node) list.insertBefore(row.node, list.children[index] ?? null);
  });
  byId("empty").hidden = answer.tasks.length > 0;
  byId("empty").textContent = filter.value ? `No ${filter.value} tasks.` : "No tasks yet. Submit one with POST /submit.";
  newer.disabled = pages.length === 1;
  older.disabled = next === null;
  byId("pages").hidden = newer.disabled && older.disabled;
}

function turn(to) {
  pages = to;
  load().then(() => byId("heading").scrollIntoView());
}

filter.addEventListener("change", () => {
  const url = new URL(location.href);
  if (filter.value) url.searchParams.set("status", filter.value);
  else url.searchParams.delete("status");
  history.replaceState(null, "", url);
  turn([null]);
});
byId("filter").addEventListener("submit", (event) => event.preventDefault());
refresh.addEventListener("change", load);
document.addEventListener("visibilitychange", load);
older.addEventListener("click", () => turn([...pages, next]));
newer.addEventListener("click", () => turn(pages.slice(0, -1)));

const wanted = new URL(location.href).searchParams.get("status") ?? "";
if ([...filter.options].some((option) => option.value === wanted)) filter.value = wanted;
load();
