// The form, and what happens between pressing Plan and a plan.

import { byId, element, moves } from "./dom.js";
import { Graph } from "./graph.js";
import * as result from "./result.js";
import { PLAN, Trouble, ask, health } from "./talk.js";
import { count, curl, json, mermaid, time } from "./words.js";

const goal = byId("goal"), constraints = byId("constraints"), context = byId("context");
const detail = byId("detail"), tokenDialog = byId("token-dialog");
const graph = new Graph(byId("graph"), byId("legend"), open);

/** In memory only: no storage, cookie or address ever has it. */
let token = "";
/** What is under way, to be aborted. */
let run = null;
/** What was asked last, what has come of it, and the steps so far. */
let question = null, plan = null, steps = [];
/** The configured model, once the service has said it. */
let configured = null;

const say = (text) => (byId("status").textContent = text);

/** What the form asks for; null when it cannot be asked, which is then marked. */
function read() {
  clearFaults("goal", "constraints", "context");
  const asked = { goal: goal.value };
  const lines = constraints.value.split("\n").filter((line) => line.trim());
  if (lines.length) asked.constraints = lines;
  if (!goal.value.trim()) fault("goal", "Write down what is to be reached.");
  let body = JSON.stringify(asked);
  if (context.value.trim()) {
    try {
      JSON.parse(context.value);
      // As it is written: a number may be longer than what JavaScript makes of it.
      body = `${body.slice(0, -1)},"context":${context.value.trim()}}`;
    } catch {
      byId("more").open = true;
      fault("context", "This is not JSON. Write an object, such as {\"language\": \"Python\"}, or leave it empty.");
    }
  }
  const first = document.querySelector("[aria-invalid]");
  first?.focus();
  return first ? null : { body, anew: byId("anew").checked };
}

function fault(field, text) {
  byId(field).setAttribute("aria-invalid", "true");
  byId(`${field}-fault`).textContent = text;
  byId(`${field}-fault`).hidden = false;
}

function clearFaults(...fields) {
  for (const field of fields) {
    byId(field).removeAttribute("aria-invalid");
    byId(`${field}-fault`).hidden = true;
  }
}

/** Asks `question` and shows what comes, until it is over. */
async function start() {
  run?.abort();
  const mine = (run = new AbortController());
  begin();
  // The service may be another one than when this page was loaded.
  const learnt = learn();
  const began = performance.now();
  const clock = setInterval(() => (byId("clock").textContent = `${((performance.now() - began) / 1000).toFixed(1)} s`), 100);
  try {
    for await (const event of ask(question, token, mine.signal)) {
      if (event.step) preview(event.step);
      if (event.plan) {
        await learnt;
        mine.signal.throwIfAborted();
        finish(event.plan, event.notes);
      }
    }
  } catch (error) {
    if (run === mine) fail(mine.signal.aborted ? null : error);
  } finally {
    clearInterval(clock);
    if (run === mine) end();
  }
}

/** Learns the version and the configured model; what was known stays where that is not said. */
async function learn() {
  const well = await health();
  if (!well) return;
  configured = well.model;
  byId("service").textContent = `${well.version} · ${well.model === "embedded" ? "embedded planner" : well.model}`;
}

function begin() {
  [plan, steps] = [null, []];
  byId("alert").replaceChildren();
  result.clear();
  graph.clear();
  byId("empty").hidden = true;
  byId("result").hidden = false;
  byId("result").setAttribute("aria-busy", "true");
  byId("result-title").textContent = "Planning…";
  document.body.classList.add("planning");
  swap("plan", "cancel");
  say(configured && configured !== "embedded" ? `Asking ${configured}…` : "Planning…");
  if (byId("result").getBoundingClientRect().top > innerHeight - 120) {
    byId("result").scrollIntoView({ behavior: moves() ? "smooth" : "auto" });
  }
}

function end() {
  run = null;
  document.body.classList.remove("planning");
  byId("result").removeAttribute("aria-busy");
  byId("clock").textContent = "";
  swap("cancel", "plan");
}

/** Shows a button in the place of another, and keeps the focus there. */
function swap(before, after) {
  const hadFocus = document.activeElement === byId(before);
  byId(before).hidden = true;
  byId(after).hidden = false;
  if (hadFocus) byId(after).focus();
}

/** A step that is a preview. With step 1 all begins anew: what was shown before is void. */
function preview(step) {
  if (step.step === 1) {
    steps = [];
    graph.clear();
    detail.close();
  }
  steps = [...steps, step];
  graph.show(steps);
  say(`Step ${step.step} is written.`);
}

function finish(made, notes) {
  plan = made;
  steps = plan.plan;
  byId("result-title").textContent = "Plan";
  graph.show(steps, plan.schedule?.critical_path);
  result.show(plan, notes, configured, (arm) => graph.hue(arm));
  if (detail.open) open(Number(detail.dataset.step));
  say(`The plan is ready: ${count(steps.length, "step")}, ${time(plan.total_estimated_duration)} in all.`);
}

/** Says why there is no plan; `trouble` is null when it was cancelled. */
function fail(trouble) {
  byId("result-title").textContent = steps.length ? "Preview, and no plan" : "No plan";
  byId("result").hidden = !steps.length;
  byId("empty").hidden = steps.length > 0;
  if (!trouble) return say("Cancelled; the language model is no longer asked.");
  // Nothing is said behind a modal dialog.
  detail.close();
  if (!(trouble instanceof Trouble)) {
    console.error(trouble);
    trouble = new Trouble("Something went wrong", "This page failed to show the answer.", { advice: "Load it again." });
  }
  say("");
  if (trouble.code === "unauthorized") return askForToken();
  for (const { field, message } of trouble.faults) mark(field, message);
  byId("alert").replaceChildren(element("div", { class: "card alert" },
    element("h2", {}, trouble.title),
    element("p", {}, trouble.message),
    trouble.advice ? element("p", {}, trouble.advice) : null,
    trouble.id ? element("p", { class: "hint" }, "Request id: ", element("code", {}, trouble.id)) : null));
}

/** Marks the field of the form that a fault of the request is about. */
function mark(name, message) {
  const [, field, index] = /^(goal|constraints|context)(?:\[(\d+)\])?/.exec(name) ?? [];
  if (!field) return;
  if (field === "context") byId("more").open = true;
  const place = index == null ? "It" : `Constraint ${Number(index) + 1}`;
  fault(field, `${byId(`${field}-fault`).hidden ? "" : `${byId(`${field}-fault`).textContent} `}${place} ${message}.`);
}

function askForToken() {
  byId("token-title").textContent = token ? "This token was not accepted" : "A token is needed";
  byId("token-why").textContent = token
    ? "It may be misspelt or out of use. Try another, or ask whoever runs the planner arm."
    : "The planner arm makes plans for those who have one of its tokens. Ask whoever runs it for one.";
  clearFaults("token");
  byId("token").value = "";
  say("A token is needed.");
  tokenDialog.showModal();
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = byId("token").value.trim();
  // What else there is, no token of the service has, and no header may.
  if (!/^[\x21-\x7e]+$/.test(given)) {
    fault("token", given ? "A token has only ASCII letters, digits and signs, and no spaces." : "Write down the token.");
    return byId("token").focus();
  }
  token = given;
  byId("forget").hidden = false;
  tokenDialog.close();
  start();
});

byId("token-cancel").addEventListener("click", () => tokenDialog.close());
tokenDialog.addEventListener("close", () => {
  byId("token").value = "";
  goal.focus();
});

byId("forget").addEventListener("click", () => {
  token = "";
  byId("forget").hidden = true;
  say("The token is forgotten.");
  goal.focus();
});

/** Shows all of a step. */
function open(number) {
  const step = steps.find((step) => step.step === number);
  // What was shown may be void by now.
  if (!step) return detail.close();
  const place = steps.indexOf(step);
  byId("detail-place").textContent = `${place + 1} of ${steps.length}${plan ? "" : ", preview"}`;
  byId("detail-body").replaceChildren(...result.inWords(step, plan, false, open));
  detail.style.setProperty("--hue", graph.hue(step.required_arm));
  detail.dataset.step = number;
  byId("detail-before").disabled = place === 0;
  byId("detail-after").disabled = place === steps.length - 1;
  if (!detail.open) detail.showModal();
}

const turn = (by) => {
  const next = steps[steps.findIndex(({ step }) => step === Number(detail.dataset.step)) + by];
  if (next) open(next.step);
};
byId("detail-before").addEventListener("click", () => turn(-1));
byId("detail-after").addEventListener("click", () => turn(1));
byId("detail-close").addEventListener("click", () => detail.close());
detail.addEventListener("keydown", ({ key, altKey, ctrlKey, metaKey, shiftKey }) => {
  if (altKey || ctrlKey || metaKey || shiftKey) return;
  if (key === "ArrowLeft") turn(-1);
  if (key === "ArrowRight") turn(1);
});
// A click beside it closes it; its own box is filled by its children.
detail.addEventListener("click", (event) => {
  const box = detail.getBoundingClientRect();
  const outside = event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
  if (event.target === detail && outside) detail.close();
});
detail.addEventListener("close", () => graph.focus(Number(detail.dataset.step)));

const COPIES = {
  curl: () => curl(new URL(PLAN, document.baseURI).href, question, Boolean(token)),
  json: () => json(plan) + "\n",
  mermaid: () => mermaid(plan.plan),
};

byId("copies").addEventListener("click", async ({ target }) => {
  const kind = target.closest("button")?.dataset.copy;
  if (!kind) return;
  const done = await copy(COPIES[kind]());
  byId("copied").textContent = done ? "Copied." : "This browser does not let the page copy.";
});

/** Off secure origins there is no clipboard but that of the selection. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const before = document.activeElement;
    const field = element("textarea", { class: "unseen", "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before?.focus();
    return done;
  }
}

function submit() {
  const asked = read();
  if (!asked) return;
  question = asked;
  start();
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    submit();
  }
  if (event.key === "Escape") run?.abort();
});
byId("cancel").addEventListener("click", () => run?.abort());

for (const example of document.querySelectorAll(".example")) {
  example.addEventListener("click", () => {
    goal.value = example.textContent;
    submit();
    // The example is hidden now.
    if (run) byId("cancel").focus();
  });
}

if (/Mac|iP/.test(navigator.platform)) byId("plan-key").textContent = "⌘ ↵";

await learn();
