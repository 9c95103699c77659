// What happens between pressing Plan and a plan, and with each version after it.

import * as compare from "./compare.js";
import { Detail } from "./detail.js";
import { button, byId, element } from "./dom.js";
import { editor, showEditor } from "./edit.js";
import * as form from "./form.js";
import { Graph } from "./graph.js";
import * as options from "./options.js";
import { keptMarks, showSummary, soFar, withMark } from "./progress.js";
import * as questions from "./questions.js";
import { bodyOf, fromFragment, requestFor, toFragment } from "./request.js";
import * as result from "./result.js";
import * as saved from "./saved.js";
import { Session } from "./session.js";
import * as share from "./share.js";
import { PLAN, REPLAN, PlannerError, ask, get, validate } from "./api.js";
import * as timeline from "./timeline.js";
import * as token from "./token.js";
import * as views from "./views.js";
import { about, count } from "./words.js";
import { findingsOf, inWords, quoting } from "./steps.js";

const graph = new Graph(byId("graph"), byId("legend"), byId("zoom"), (number) => detail.open(number));
const detail = new Detail({
  steps: () => steps,
  version: () => (run ? null : (session?.version ?? null)),
  hue: (arm) => graph.hue(arm),
  focus: (number) => graph.focus(number),
  edit,
  mark,
});

/** What is under way, to be aborted, and what it was, to be retried. */
let run = null, last = null;
/** The plan that is worked on, and the steps that are shown. */
let session = null, steps = [];
/** The configured model, once the service has said it. */
let configured = null;

const say = (text) => (byId("status").textContent = text);

/**
 * Asks `path` for a plan with `body`. `accept(plan, notes)` makes a version of it; `kept` are the steps that stay, and
 * `status` is shown while it is made.
 */
async function start(asked) {
  run?.abort();
  last = asked;
  const mine = (run = new AbortController());
  begin(asked);
  // The service may be another one than when this page was loaded.
  const learnt = learn();
  const began = performance.now();
  const clock = setInterval(() => (byId("clock").textContent = `${((performance.now() - began) / 1000).toFixed(1)} s`), 100);
  try {
    const { path, body, fresh } = asked;
    for await (const event of ask(path, body, { fresh, token: token.current(), signal: mine.signal })) {
      if (event.step) preview(event.step, asked.kept ?? []);
      if (event.plan) {
        await learnt;
        mine.signal.throwIfAborted();
        asked.accept(event.plan, event.notes);
        try {
          show();
        } catch (error) {
          session.undo();
          throw error;
        }
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
  const health = await get("health");
  if (!health) return;
  configured = health.model;
  byId("service").textContent = `${health.version} · ${health.model === "embedded" ? "embedded planner" : health.model}`;
  const isEmbedded = health.model === "embedded";
  byId("banner").hidden = !isEmbedded && !health.notice;
  byId("banner").classList.toggle("found", !isEmbedded);
  // The service says which model it found on this machine, or how to connect one.
  byId("banner-chosen").hidden = Boolean(health.notice);
  byId("banner-notice").hidden = !health.notice;
  byId("banner-notice").replaceChildren(quoting((health.notice ?? "").replace(/PLANNER_[\w=]+/g, "`$&`")), isEmbedded ? " Then restart the service." : "");
}

function begin({ request, status }) {
  byId("alert").replaceChildren();
  detail.close();
  result.clear();
  graph.clear();
  steps = [];
  form.fold(request);
  byId("change").hidden = true;
  byId("empty").hidden = true;
  byId("result").hidden = false;
  byId("result").setAttribute("aria-busy", "true");
  byId("result").classList.add("previewing");
  byId("result-title").textContent = "Planning…";
  document.body.classList.add("planning");
  byId("cancel").hidden = false;
  byId("cancel").focus({ preventScroll: true });
  say(status ?? (configured && configured !== "embedded" ? `Asking ${configured}…` : "Planning…"));
}

function end() {
  const hadFocus = document.activeElement === byId("cancel");
  run = null;
  document.body.classList.remove("planning");
  byId("result").removeAttribute("aria-busy");
  byId("clock").textContent = "";
  byId("cancel").hidden = true;
  byId("change").hidden = byId("summary").hidden;
  if (hadFocus) (byId("summary").hidden ? byId("plan") : byId("change")).focus({ preventScroll: true });
}

/** A step that is a preview. If its number was shown before, a new preview starts and replaces the old one. */
function preview(step, kept) {
  const without = steps.length ? steps : kept;
  if (without.some((one) => one.step === step.step)) {
    graph.clear();
    detail.close();
  }
  const base = without.some((one) => one.step === step.step) ? kept : without;
  steps = [...base, step].sort((a, b) => a.step - b.step);
  graph.show(steps);
  say(`Step ${step.step} is written.`);
}

/** Shows the version of the session that is chosen. */
function show() {
  const { request, version, before } = session, { plan, marks } = version;
  steps = plan.plan;
  form.fold(request);
  byId("empty").hidden = true;
  byId("result").hidden = false;
  byId("result").classList.remove("previewing");
  byId("result-title").textContent = "Plan";
  byId("print-goal").textContent = request.goal;
  draw();
  result.show(version, configured);
  questions.show(plan.open_questions);
  byId("versions").replaceChildren(...session.versions.map(({ label }, i) =>
    element("option", { value: i, selected: i === session.shown }, `${i + 1}. ${label}`)));
  byId("version-field").hidden = session.versions.length < 2;
  if (before) compare.show(before.plan, plan, `version ${version.from + 1}`);
  else byId("compare").hidden = true;
  showSummary({ plan, marks });
  const length = plan.schedule?.critical_path_seconds ?? plan.total_estimated_duration;
  say(`The plan is ready: ${count(steps.length, "step")}, about ${about(length)}.`);
}

/** Draws the steps of the version in every view. */
function draw() {
  const { version } = session, { plan, marks } = version, critical = plan.schedule?.critical_path ?? [];
  const hue = (arm) => graph.hue(arm), open = (number) => detail.open(number);
  graph.show(plan.plan, { critical, findings: findingsOf(plan), marks });
  timeline.draw(byId("timeline"), plan.plan, { critical, marks, hue, open });
  byId("steps").replaceChildren(...plan.plan.map((step) => {
    const more = button("Open", () => detail.open(step.step), { class: "open-step", "aria-label": `Open step ${step.step}` });
    const item = element("li", { class: marks[step.step]?.status ?? false }, ...inWords(step, version, "h3", [more]));
    item.style.setProperty("--hue", hue(step.required_arm));
    return item;
  }));
}

/** Says why there is no plan; `error` is null when it was cancelled. */
function fail(error) {
  // Nothing is said behind a modal dialog.
  detail.close();
  const incomplete = steps.length > 0;
  if (session?.version) show();
  else {
    byId("result-title").textContent = `Incomplete preview (${error ? "failed" : "cancelled"})`;
    byId("result").hidden = !incomplete;
    byId("empty").hidden = incomplete;
    form.fold(null);
  }
  if (!error) return say("Cancelled. The call to the language model was stopped.");
  if (!(error instanceof PlannerError)) {
    console.error(error);
    error = new PlannerError("Something went wrong", "This page could not show the answer.", { advice: "Reload the page." });
  }
  say("");
  if (error.code === "unauthorized") {
    say("A token is needed.");
    return token.askFor(() => start(last));
  }
  const marked = error.faults.filter(({ field, message }) => form.mark(field, message));
  if (marked.length) form.fold(null);
  // A fault that is not of a field of the form says itself what to do.
  const advice = marked.length || error.code !== "invalid_request" ? error.advice : "";
  const again = button("Retry", () => start(last), { class: "primary", id: "retry" });
  byId("alert").replaceChildren(element("div", { class: "card alert" },
    element("h2", {}, error.title),
    element("p", {}, error.message),
    advice ? element("p", {}, advice) : null,
    error.id ? element("p", { class: "hint" }, "Request id: ", element("code", {}, error.id)) : null,
    marked.length ? null : element("div", { class: "actions" }, again)));
}

/** Plans what the form describes. */
function submit() {
  const request = form.read();
  if (!request) return;
  history.replaceState(null, "", toFragment(request));
  session = null;
  start({
    path: PLAN, request, body: bodyOf(request), fresh: request.fresh,
    accept: (plan, notes) => {
      session = new Session(request);
      session.add("Plan", plan, notes);
    },
  });
}

/** Plans the unfinished steps of the version again, with what failed and what `feedback` says. */
function revise(feedback, label, request = session.request) {
  const { version } = session;
  const kept = version.plan.plan.filter(({ step }) => version.marks[step]?.status === "done");
  start({
    path: REPLAN, request, body: bodyOf(request, soFar(version, feedback)), kept, status: "Planning the rest…",
    accept: (plan, notes) => {
      session.request = request;
      session.add(label, plan, notes, keptMarks(version, plan, true));
      byId("feedback").value = "";
    },
  });
}

byId("revise-form").addEventListener("submit", (event) => {
  event.preventDefault();
  form.clearFaults("feedback");
  const feedback = byId("feedback").value.trim(), failed = Object.values(session.version.marks).some(({ status }) => status === "failed");
  if (!feedback && !failed) {
    form.fault("feedback", "Say what should be different, or mark a step as failed first.");
    return byId("feedback").focus();
  }
  revise(feedback, failed ? "Replanned" : "Revised");
});

byId("questions-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = questions.answers();
  if (!given.length) return byId("question-list").querySelector("input").focus();
  const request = { ...session.request, constraints: [...session.request.constraints, ...given] };
  form.write(request);
  history.replaceState(null, "", toFragment(request));
  revise(`Answers to your questions: ${given.join(" ")}`.slice(0, 2000), "Questions answered", request);
});

/** Marks step `number` of the version, or takes its mark away. */
function mark(number, what) {
  session.version.marks = withMark(session.version, number, what);
  session.keep();
  draw();
  showSummary(session.version);
  detail.open(number);
}

/** Edits step `number`, or a new one where it is null. */
function edit(number) {
  const { version, request } = session;
  const save = async (changed, label) => {
    const { rationale, confidence } = version.plan;
    // A plan that is edited need not follow a playbook.
    const body = bodyOf({ ...request, playbook: "" }, { plan: changed, rationale, confidence });
    let plan;
    try {
      plan = await validate(body, token.current());
    } catch (error) {
      if (error.code !== "unauthorized") throw error;
      return token.askFor(() => save(changed, label));
    }
    session.add(label, { ...plan, usage: version.plan.usage }, { ...version.notes, edited: true }, keptMarks(version, plan));
    detail.close();
    show();
  };
  showEditor(editor(version.plan.plan, number, { arms: request.arms, save, close: () => (number ? detail.open(number) : detail.close()) }));
}
byId("add-step").addEventListener("click", () => edit(null));

byId("versions").addEventListener("change", ({ target }) => {
  session.show(Number(target.value));
  show();
});

/** Opens a plan of the history. */
function reopen(entry) {
  run?.abort();
  byId("alert").replaceChildren();
  session = new Session(entry.request, entry);
  form.write(session.request);
  history.replaceState(null, "", toFragment(session.request));
  show();
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
byId("change").addEventListener("click", () => {
  form.fold(null);
  byId("goal").focus();
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
    form.write(requestFor(example.dataset.goal, { constraints: (example.dataset.constraints ?? "").split("|").filter(Boolean) }));
    submit();
  });
}

function readAddress() {
  const request = fromFragment(location.hash);
  if (!request) return;
  form.fold(null);
  form.write(request);
  byId("plan").focus();
}
addEventListener("hashchange", readAddress);

if (/Mac|iP/.test(navigator.platform)) byId("plan-key").textContent = "⌘ ↵";
views.wire();
options.wire();
saved.wire(reopen);
share.wire(() => ({ request: session.request, version: session.version, graph, hasToken: Boolean(token.current()) }));
token.wire(say, () => options.load(token.current()));
readAddress();
await Promise.all([learn(), options.load("")]);
