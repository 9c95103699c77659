// Working with a plan until it is done: editing, marking, replanning, comparing, keeping and exporting it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { SEVEN, browser, exported, fakeLlm, many, pieces, plan, ready, service, shot, step, visit } from "./support.mjs";

let chromium, llm, app;
before(async () => {
  llm = await fakeLlm();
  [chromium, app] = await Promise.all([
    browser(),
    service({ LLM_BASE_URL: llm.url, MAX_PLAN_STEPS: 30, CACHE_TTL_SECONDS: 0, LLM_MAX_ATTEMPTS: 1, LLM_BREAKER_THRESHOLD: 100 }),
  ]);
});
after(() => Promise.all([chromium?.close(), app?.stop(), llm?.stop()]));

const drawer = (page) => page.locator("#detail");
const open = (page, number) => page.locator(".node").filter({ has: page.locator(".number", { hasText: new RegExp(`^Step ${number}$`) }) }).click();
const close = (page) => page.getByRole("button", { name: "Close the details" }).click();
const shown = async (page) => JSON.parse(await page.locator("#raw").textContent());
const kept = (page) => page.evaluate(() => Object.values({ ...localStorage }).flatMap((text) => JSON.parse(text)));
const texts = async (page, selector) => (await page.locator(selector).allInnerTexts()).map((text) => text.replaceAll(/\s+/g, " ").trim());

/** A page with the plan of seven steps. */
async function seven(options = {}) {
  const page = await visit(chromium, app.url, options);
  llm.says = () => pieces(SEVEN);
  await plan(page, "Fix the sign-in and add tests");
  await ready(page);
  return page;
}

/** Marks a step, with what is said of it. */
async function mark(page, number, name, text = "") {
  await open(page, number);
  await page.getByLabel("What happened").fill(text);
  await drawer(page).getByRole("button", { name }).click();
  await drawer(page).locator(`[aria-pressed="true"]`).waitFor();
  await close(page);
}

/** The next call of `path`, answered as usual: what was sent. */
const sent = async (page, path) => (await page.waitForRequest((request) => new URL(request.url()).pathname === path)).postDataJSON();

/** What is saved as a file when `name` is pressed. */
async function saved(page, name) {
  const [file] = await Promise.all([page.waitForEvent("download"), exported(page, `Save as ${name}`)]);
  return { name: file.suggestedFilename(), text: readFileSync(await file.path(), "utf8") };
}

test("from a goal to the end: planned, edited, two steps done, one failed, replanned, exported", async () => {
  const page = await seven();
  await open(page, 2);
  await page.getByRole("button", { name: "Edit this step" }).click();
  await page.getByLabel("Action").fill("Fix the expiry check and its time zone");
  await page.getByRole("textbox", { name: /^Duration/ }).fill("1 h 30 min");
  await page.getByLabel("Arm", { exact: true }).selectOption("executor");
  await page.getByRole("button", { name: "Save the step" }).click();
  await page.getByRole("heading", { name: "Changes from version 1" }).waitFor();
  const edited = await shown(page);
  assert.equal(edited.plan[1].action, "Fix the expiry check and its time zone");
  assert.deepEqual([edited.plan[1].required_arm, edited.plan[1].estimated_duration_seconds], ["executor", 5400]);
  assert.deepEqual(edited.schedule.critical_path, [1, 2, 5, 7], "the service made a new schedule");
  assert.match((await texts(page, ".total")).join(" | "), /Time About 1\.5 hours .+ Made by You edited by hand, checked by the planner arm/);

  await mark(page, 1, "Done", "It is in auth.py");
  await mark(page, 3, "Done");
  await mark(page, 2, "Failed", "auth.py is generated from auth.proto");
  assert.equal(await page.locator("#progress").innerText(), "2 of 7 steps done, 1 failed.");
  assert.deepEqual(await texts(page, ".node .mark"), ["✓ done", "✕ failed", "✓ done"]);
  await shot(page, "workbench-failed");

  llm.says = () => pieces([
    step(2, "coder", "Change auth.proto and generate auth.py again", [1]),
    step(4, "executor", "Run all tests and record their output", [2, 3]),
    step(5, "judge", "Verify that sign-in works and that nothing else has changed", [1, 2, 3, 4]),
  ]);
  const asked = sent(page, "/replan");
  await page.getByRole("button", { name: "Replan the rest" }).click();
  const { goal, plan: before, progress } = await asked;
  assert.equal(goal, "Fix the sign-in and add tests");
  assert.deepEqual(before, edited.plan);
  assert.deepEqual(progress, [
    { step: 1, status: "done", note: "It is in auth.py" },
    { step: 2, status: "failed", reason: "auth.py is generated from auth.proto" },
    { step: 3, status: "done" },
  ]);
  await page.getByRole("heading", { name: "Changes from version 2" }).waitFor();
  const replanned = await shown(page);
  assert.equal(replanned.plan.length, 5);
  assert.deepEqual([replanned.plan[0], replanned.plan[2]], [before[0], before[2]], "what is done stays as it was");
  assert.equal(await page.locator("#progress").innerText(), "2 of 5 steps done.");
  assert.match(await page.locator("#compare-sum").innerText(), /^2 steps unchanged, 2 changed, 1 new, 3 removed\. It takes about .+ instead of 1\.5 hours\.$/);
  await shot(page, "workbench-replanned");

  const markdown = await saved(page, "Markdown");
  assert.equal(markdown.name, "plan-fix-the-sign-in-and-add-tests.md");
  assert.ok(markdown.text.startsWith("# Fix the sign-in and add tests\n") && markdown.text.includes("1. [x] **Gather"), markdown.text);
  assert.deepEqual(JSON.parse((await saved(page, "JSON")).text), replanned);
  assert.match((await saved(page, "Mermaid")).text, /^flowchart LR\n    s1\["1\. Gather/);
  const svg = await saved(page, "SVG");
  assert.equal(svg.name, "plan-fix-the-sign-in-and-add-tests.svg");
  const blank = await chromium.newPage();
  const drawn = await blank.evaluate((text) => {
    const image = new DOMParser().parseFromString(text, "image/svg+xml");
    const count = (selector) => image.querySelectorAll(selector).length;
    return { root: image.documentElement.nodeName, odd: count("parsererror, script, foreignObject"), steps: count("g g"), edges: count("path"), text: image.documentElement.textContent };
  }, svg.text);
  await blank.close();
  assert.deepEqual([drawn.root, drawn.odd, drawn.steps, drawn.edges], ["svg", 0, 5, 5]);
  for (const part of ["Fix the sign-in and add tests", "Change auth.proto", "5 steps · about ", "54 s · cost tier 3 of 5"]) assert.ok(drawn.text.includes(part), `${part}: ${drawn.text}`);
  await page.watched();
});

test("a plan is revised with feedback in words before anything has failed", async () => {
  const page = await seven();
  await page.getByRole("button", { name: "Revise the plan" }).click();
  assert.match(await page.locator("#feedback-fault").innerText(), /^Say what should be different/);
  llm.says = () => pieces([...SEVEN.slice(0, 6), step(7, "executor", "Prepare a rollback", [5]), step(8, "judge", "Verify that sign-in works and that nothing else has changed", [4, 5, 6, 7])]);
  await page.getByLabel("What should be different?").fill("Add a rollback");
  const asked = sent(page, "/replan");
  await page.getByRole("button", { name: "Revise the plan" }).click();
  assert.deepEqual(((await asked).feedback), "Add a rollback");
  await page.getByRole("heading", { name: "Changes from version 1" }).waitFor();
  assert.match(await page.locator("#compare-sum").innerText(), /^6 steps unchanged, 1 changed, 1 new\./);
  assert.match((await texts(page, "#compare-list > li")).join(" | "), /new step 7: Prepare a rollback \(executor, /);
  assert.equal(await page.getByLabel("What should be different?").inputValue(), "");

  // Each version can be shown again.
  await page.locator("#versions").selectOption("0");
  await page.getByText("The plan is ready: 7 steps").waitFor();
  assert.equal(await page.locator("#compare").isVisible(), false);
  assert.equal((await shown(page)).plan.length, 7);
  await page.watched();
});

test("a revision that fails leaves the plan as it was, and Retry asks again", async () => {
  const page = await seven();
  llm.says = () => [500];
  await page.getByLabel("What should be different?").fill("Add a rollback");
  await page.getByRole("button", { name: "Revise the plan" }).click();
  const retry = page.getByRole("button", { name: "Retry" });
  await retry.waitFor();
  assert.equal(await page.locator(".node").count(), 7, "the plan is still there");
  assert.equal(await page.getByRole("heading", { name: "Plan", exact: true }).isVisible(), true);
  llm.says = () => pieces(SEVEN.map((one) => ({ ...one, estimated_duration_seconds: 60 })));
  await retry.click();
  await page.getByRole("heading", { name: "Changes from version 1" }).waitFor();
  assert.equal(await page.locator("#alert").innerText(), "");
  await page.watched();
});

test("a finished step that rules out a replan is named, and the plan stays", async () => {
  const page = await seven({ allow: [/^console: Failed to load resource/] });
  await mark(page, 1, "Done");
  const message = "is done, and because of it the policy `guarded` does not hold: Ask first; report the step as failed";
  await page.route("**/replan?*", (route) => route.fulfill({ status: 422, contentType: "application/problem+json", json: {
    title: "Invalid request", status: 422, detail: `The request is invalid: plan[0] ${message}.`, code: "invalid_request", errors: [{ field: "plan[0]", message }],
  } }));
  await page.getByLabel("What should be different?").fill("Add a rollback");
  await page.getByRole("button", { name: "Revise the plan" }).click();
  await page.getByRole("button", { name: "Retry" }).waitFor();
  assert.deepEqual((await texts(page, "#alert p")).slice(0, -1), [`The request is invalid: plan[0] ${message}.`]);
  assert.equal(await page.locator(".node").count(), 7, "the plan is still there");
  await page.watched();
});

test("what would not be valid is said in the editor, and nothing is lost", async () => {
  const page = await seven({ allow: [/^console: Failed to load resource/] });
  await open(page, 5);
  await page.getByRole("button", { name: "Edit this step" }).click();
  assert.equal(await page.getByRole("button", { name: "Next →" }).isVisible(), false, "an edit ends with one of its own buttons");
  // Steps that wait for this one are not offered.
  assert.deepEqual((await texts(page, ".needs label")).map((text) => text[0]), ["1", "2", "3", "4", "6"]);
  await page.getByRole("textbox", { name: /^Duration/ }).fill("soon");
  await page.getByRole("button", { name: "Save the step" }).click();
  assert.match(await page.locator(".faults").innerText(), /^Write the duration with its unit/);
  await page.getByRole("textbox", { name: /^Duration/ }).fill("2 days");
  await page.getByLabel("Done when").fill("");
  await page.getByLabel("Action").fill(SEVEN[0].action);
  await page.getByRole("button", { name: "Save the step" }).click();
  await page.getByText("This plan would not be valid:").waitFor();
  assert.equal(await page.locator(".faults li").count(), 2, await page.locator(".faults").innerText());
  await shot(page, "workbench-editor");
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  assert.match(await drawer(page).innerText(), /Run all tests and record their output/);
  await close(page);
  assert.deepEqual((await shown(page)).plan.length, 7);
  await page.watched();
});

test("an edited plan is checked against the goal, constraints and limits of its request", async () => {
  const page = await visit(chromium, app.url, { allow: [/^console: Failed to load resource/], fragment: "#goal=Fix+the+sign-in&constraint=Use+Python+only&context=%7B%22n%22%3A+1%7D&max_duration_seconds=3600&playbook=none" });
  llm.says = () => pieces(SEVEN);
  await plan(page, "Fix the sign-in");
  await ready(page);
  await open(page, 2);
  await page.getByRole("button", { name: "Edit this step" }).click();
  await page.getByRole("textbox", { name: /^Duration/ }).fill("1 h");
  const asked = sent(page, "/validate");
  await page.getByRole("button", { name: "Save the step" }).click();
  const { plan: steps, rationale, confidence, ...request } = await asked;
  assert.deepEqual(request, { goal: "Fix the sign-in", constraints: ["Use Python only"], context: { n: 1 }, budget: { max_duration_seconds: 3600 } });
  await page.getByText("This plan would not be valid:").waitFor();
  assert.match(await page.locator(".faults li").innerText(), /the budget allows 3,600 s: shorten or parallelise/);
  await page.getByRole("textbox", { name: /^Duration/ }).fill("5 min");
  await page.getByRole("button", { name: "Save the step" }).click();
  await page.getByRole("heading", { name: "Changes from version 1" }).waitFor();
  await page.watched();
});

test("dependencies are edited, steps added and deleted, and marks stay with their steps", async () => {
  const page = await seven();
  await mark(page, 6, "Done");
  await mark(page, 1, "Done");
  await open(page, 4);
  await page.getByRole("button", { name: "Edit this step" }).click();
  await page.getByRole("checkbox", { name: /^5\. Run all tests/ }).check();
  await page.getByRole("button", { name: "Save the step" }).click();
  await page.getByRole("heading", { name: "Changes from version 1" }).waitFor();
  let { plan: steps } = await shown(page);
  const at = (action) => steps.find((one) => one.action.startsWith(action));
  assert.ok(at("Redact").depends_on.includes(at("Run all").step), "steps run in the new order");
  assert.equal(await page.locator(".node.done").count(), 2);
  assert.deepEqual((await texts(page, ".node.done .action")).sort(), [SEVEN[0].action, SEVEN[5].action].sort());

  await page.getByRole("tab", { name: "List" }).click();
  await page.getByRole("button", { name: "Add a step" }).click();
  await page.getByLabel("Action").fill("Tell the users");
  await page.getByLabel("Done when").fill("The mail is sent\nNobody asks");
  await page.getByRole("button", { name: "Add the step" }).click();
  await page.getByText("The plan is ready: 8 steps").waitFor();
  ({ plan: steps } = await shown(page));
  assert.deepEqual(at("Tell").acceptance_criteria, ["The mail is sent", "Nobody asks"]);
  assert.ok(steps.at(-1).depends_on.includes(at("Tell").step), "what verifies waits for it");

  await page.getByRole("tab", { name: "Graph" }).click();
  await open(page, at("Write tests").step);
  await page.getByRole("button", { name: "Edit this step" }).click();
  await page.getByRole("button", { name: "Delete the step" }).click();
  await page.getByText("The plan is ready: 7 steps").waitFor();
  ({ plan: steps } = await shown(page));
  assert.equal(at("Write tests"), undefined);
  assert.ok(at("Run all").depends_on.length > 0);
  await page.watched();
});

test("a step is done only after those that it needs, and failed only with a reason", async () => {
  const page = await seven();
  await open(page, 5);
  await drawer(page).getByRole("button", { name: "Done" }).click();
  assert.equal(await drawer(page).locator(".fault").innerText(), "It needs step 2 and step 3, which must be done first.");
  await drawer(page).getByRole("button", { name: "Failed" }).click();
  assert.match(await drawer(page).locator(".fault").innerText(), /^Say why it failed/);
  await close(page);
  await mark(page, 1, "Done");
  await mark(page, 2, "Done");
  // What is no longer done takes back what needed it.
  await open(page, 1);
  await drawer(page).getByRole("button", { name: "Clear" }).click();
  await close(page);
  assert.equal(await page.locator("#progress").innerText(), "0 of 7 steps done.");
  await page.watched();
});

test("a link has the request, and opening it fills the form without asking anybody", async () => {
  const page = await visit(chromium, app.url);
  llm.says = () => pieces(SEVEN);
  await page.getByLabel("Constraints").fill("Use Python only\nNo downtime");
  await page.getByText("Options: limits").click();
  await page.getByLabel("Maximum duration").fill("2 h");
  await page.getByLabel("Maximum steps").fill("9");
  await page.getByLabel("Maximum cost tier").selectOption("4");
  await page.getByLabel("Context").fill('{"n": 12345678901234567890}');
  llm.says = () => pieces(SEVEN.map((one) => ({ ...one, estimated_cost_tier: 2 })));
  const asked = sent(page, "/plan");
  await plan(page, "Fix & test \"it\"");
  await ready(page);
  assert.deepEqual((await asked).budget, { max_duration_seconds: 7200, max_steps: 9, max_cost_tier: 4 });
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByText("Link copied.").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(link, page.url());
  await page.watched();

  llm.calls = 0;
  const other = await visit(chromium, app.url, { fragment: new URL(link).hash });
  assert.equal(await other.getByLabel("Goal", { exact: true }).inputValue(), "Fix & test \"it\"");
  assert.equal(await other.getByLabel("Constraints").inputValue(), "Use Python only\nNo downtime");
  assert.equal(await other.getByLabel("Maximum duration").inputValue(), "2 h");
  assert.equal(await other.getByLabel("Context").inputValue(), '{"n": 12345678901234567890}');
  assert.equal(await other.locator("#plan:focus").count(), 1, "one key plans it");
  assert.equal(llm.calls, 0);
  await other.watched();
});

test("arms are listed, and the selected ones are those of the plan", async () => {
  const page = await visit(chromium, app.url);
  await page.getByText("Options: limits").click();
  await page.locator("#arm-count").getByText("all 6").waitFor();
  await page.getByRole("button", { name: "None" }).click();
  await plan(page, "Write it");
  assert.equal(await page.locator("#arms-fault").innerText(), "Select at least one arm, or all of them.");
  for (const arm of ["coder", "judge"]) await page.getByRole("checkbox", { name: new RegExp(`^${arm} `) }).check();
  llm.says = () => pieces([step(1, "coder", "Write it", []), step(2, "coder", "Test it", [1]), step(3, "judge", "Verify it", [1, 2])]);
  const asked = sent(page, "/plan");
  await plan(page, "Write it");
  await ready(page);
  assert.deepEqual((await asked).arms, ["coder", "judge"]);
  assert.match(page.url(), /&arm=coder&arm=judge$/);
  assert.match(await page.locator("#summary-facts").innerText(), /2 arms selected/);
  await open(page, 1);
  await page.getByRole("button", { name: "Edit this step" }).click();
  assert.deepEqual(await texts(page, "#edit-arm option"), ["coder", "judge"], "other arms are not offered");
  await page.keyboard.press("Escape");
  await page.watched();
});

test("with many arms one searches in them", async () => {
  const page = await visit(chromium, app.url);
  const arms = Array.from({ length: 40 }, (_, i) => ({ id: `tool-${i}`, available: i < 39, description: i === 7 ? "translates texts" : "does work" }));
  await page.route("**/arms", (route) => route.fulfill({ json: { arms, sources: [] } }));
  await page.reload();
  await page.getByText("Options: limits").click();
  await page.getByLabel("Search arms").fill("translate");
  assert.deepEqual(await texts(page, ".arm-choice:not([hidden])"), ["tool-7 translates texts"]);
  // What is not available is shown, and cannot be chosen.
  await page.getByLabel("Search arms").fill("tool-39");
  assert.equal(await page.locator(".arm-choice:not([hidden]) input").isDisabled(), true);
  await page.getByLabel("Search arms").fill("translate");
  // "None" is for what is found.
  await page.getByRole("button", { name: "None" }).click();
  assert.equal(await page.locator("#arm-count").innerText(), "38 of 39");
  await page.watched();
});

test("plans stay in this browser until they are deleted", async () => {
  const page = await seven();
  await mark(page, 1, "Done", "It is in auth.py");
  llm.says = () => pieces(many(5));
  await plan(page, "Migrate");
  await ready(page);
  assert.equal((await kept(page)).length, 2);
  await page.reload();
  await page.getByRole("button", { name: "History" }).click();
  const dialog = page.getByRole("dialog", { name: "History" });
  assert.deepEqual((await texts(page, ".entry-goal")), ["Migrate", "Fix the sign-in and add tests"]);
  await shot(page, "workbench-history");
  await dialog.getByRole("button", { name: /^Fix the sign-in/ }).click();
  await ready(page);
  assert.equal(await page.locator(".node").count(), 7);
  assert.equal(await page.locator("#progress").innerText(), "1 of 7 steps done.");
  assert.match(page.url(), /#goal=Fix\+the\+sign-in/);
  await page.getByRole("button", { name: "History" }).click();
  await dialog.getByRole("button", { name: "Delete the plan “Migrate”" }).click();
  assert.deepEqual((await texts(page, ".entry-goal")), ["Fix the sign-in and add tests"]);
  await dialog.getByRole("button", { name: "Delete all" }).click();
  await dialog.getByText("No plans yet.").waitFor();
  assert.deepEqual(await kept(page), []);
  await page.watched();
});

test("a browser that stores nothing plans all the same, and broken entries are ignored", async () => {
  const page = await visit(chromium, app.url);
  await page.addInitScript(() => {
    Storage.prototype.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    Storage.prototype.getItem = () => '[null, 3, {"id": "x"}, {"id": "y", "request": {"goal": "g"}, "versions": []}]';
  });
  await page.reload();
  llm.says = () => pieces(SEVEN);
  await plan(page, "Fix the sign-in");
  await ready(page);
  await page.getByRole("button", { name: "History" }).click();
  await page.getByText("No plans yet.").waitFor();
  await page.watched();
});

test("the timeline shows when each step runs", async () => {
  const page = await seven();
  await page.getByRole("tab", { name: "Graph" }).focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.getByRole("tab", { name: "Timeline" }).getAttribute("aria-selected"), "true");
  const bars = await page.locator(".bar").evaluateAll((all) => all.map((bar) => ({ name: bar.ariaLabel, ...bar.getBoundingClientRect().toJSON() })));
  assert.equal(bars[0].name, "Step 1, retriever: from 0 s to 37 s, on the critical path");
  assert.equal(bars[4].name, "Step 5, executor: from 1 min 48 s to 3 min 33 s, on the critical path");
  assert.equal(Math.round(bars[1].left), Math.round(bars[0].right), "step 2 starts when step 1 ends");
  assert.ok(bars[6].left >= Math.max(...[3, 4, 5].map((i) => bars[i].right)) - 1, "step 7 waits for 4, 5 and 6");
  assert.equal(Math.round(bars[5].left), Math.round(bars[0].left), "step 6 starts at once");
  await page.locator(".bar").nth(3).click();
  assert.match(await drawer(page).innerText(), /Redact personal data/);
  await page.watched();
});

test("warnings stand on the node, and open questions can be answered", async () => {
  const page = await visit(chromium, app.url);
  const asked = [];
  await page.route(/\/(re)?plan\?/, async (route) => {
    asked.push(route.request().postDataJSON());
    const plan = SEVEN.map((one, i) => ({ ...one, acceptance_criteria: [`Criterion ${i}`] }));
    await route.fulfill({ json: {
      plan, rationale: "Why", confidence: 0.9, total_estimated_duration: 497, complexity_score: 0.5,
      schedule: { levels: [], critical_path: [1, 3, 5, 7], critical_path_seconds: 233 }, repairs: [],
      warnings: asked.length > 1 ? [] : [{ code: "vague_criterion", step: 2, message: "“Criterion 1” cannot be checked." }, { code: "goal_uncovered", step: null, message: "No step mentions “tests”." }],
      open_questions: asked.length > 1 ? [] : ["Which database is it?", "Is there a <b>deadline</b>?"],
    } });
  });
  await plan(page, "Fix the sign-in");
  await ready(page);
  assert.equal(await page.locator(".node .found-line.warning").innerText(), "⚠ Vague criterion: “Criterion 1” cannot be checked.");
  assert.deepEqual(await texts(page, "#findings li"), ["⚠ Part of the goal not covered No step mentions “tests”.", "⚠ Vague criterion in step 2 “Criterion 1” cannot be checked."]);
  await shot(page, "workbench-questions");
  await page.getByLabel("Is there a <b>deadline</b>?").fill("Friday");
  await page.getByRole("button", { name: "Plan with these answers" }).click();
  await page.getByRole("heading", { name: "Changes from version 1" }).waitFor();
  assert.deepEqual(asked[1].constraints, ["Is there a <b>deadline</b>? Friday"]);
  assert.match(asked[1].feedback, /Is there a <b>deadline<\/b>\? Friday/);
  assert.equal(await page.locator("#questions").isVisible(), false);
  assert.match(page.url(), /constraint=Is\+there/);
  await page.watched();
});

test("playbooks are offered where the service has some", async () => {
  const page = await visit(chromium, app.url);
  await page.route("**/playbooks", (route) => route.fulfill({ json: { playbooks: [{ name: "release-deploy", description: "How we release", steps: [] }] } }));
  await page.reload();
  await page.getByText("Options: limits").click();
  await page.getByLabel("Playbook").selectOption("release-deploy");
  llm.says = () => pieces(SEVEN);
  const asked = sent(page, "/plan");
  await plan(page, "Ship it");
  assert.equal((await asked).playbook, "release-deploy");
  await page.watched();
});
