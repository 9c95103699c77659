// The orchestrator's page: tasks come and end by themselves, plans open, tasks are cancelled.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { BINARY, browser, service, shot, visit } from "./support.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
const GOAL = "Write a function to calculate fibonacci";

let chromium, planner;
before(async () => {
  chromium = await browser();
  planner = await service({ ENGINE: "embedded" });
});
after(() => Promise.all([chromium?.close(), planner?.stop()]));

/** An orchestrator with a database of its own. */
async function orchestrator(more = {}) {
  const folder = mkdtempSync(join(tmpdir(), "orchestrator-"));
  const settings = { DATABASE_URL: `sqlite://${folder}/tasks.db`, PLANNER_ARM_URL: planner.url, SHUTDOWN_GRACE_SECONDS: 0, ...more };
  const running = await service(settings, join(dirname(BINARY), "orchestrator"), "ORCHESTRATOR_");
  const call = async (path, options) => (await fetch(running.url + path, options)).json();
  const submit = async (task) => {
    const answer = await call("submit", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(task) });
    return answer.task_id;
  };
  const stop = async () => {
    await running.stop();
    rmSync(folder, { recursive: true });
  };
  return { url: running.url, call, submit, stop };
}

/** What axe finds wrong by WCAG 2.2 AA and by good practice, contrast included. */
async function scan(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 4).join(", ")}`);
}

/** The row of the task with this goal, once it has this status. */
async function row(page, goal, status) {
  const found = page.locator(".task").filter({ hasText: goal }).filter({ has: page.locator(`.status.${status}`) });
  await found.waitFor();
  return found;
}

for (const colorScheme of ["light", "dark"]) {
  test(`in ${colorScheme} axe finds nothing, with and without tasks`, async () => {
    const app = await orchestrator();
    const page = await visit(chromium, app.url, { colorScheme });
    await page.getByText("No tasks yet").waitFor();
    assert.deepEqual(await scan(page), []);
    await app.submit({ goal: "Translate the manual", assigned_arm: "coder" });
    const cancelled = await app.submit({ goal: "Publish the manual", assigned_arm: "coder" });
    await app.call(`tasks/${cancelled}/cancel`, { method: "POST" });
    await app.submit({ goal: GOAL });
    await row(page, "Publish the manual", "cancelled");
    const planned = await row(page, GOAL, "completed");
    await planned.locator("summary").click();
    await planned.getByText(/^about .+ if steps run in parallel, .+ one after the other, confidence /).waitFor();
    assert.deepEqual(await scan(page), []);
    const [red] = /\d+/.exec(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    assert.equal(Number(red) < 64, colorScheme === "dark");
    await shot(page, `orchestrator-${colorScheme}`);
    await page.watched();
    await app.stop();
  });
}

test("a task appears by itself, and its plan opens and stays open", async () => {
  const app = await orchestrator();
  const page = await visit(chromium, app.url);
  const id = await app.submit({ goal: GOAL });
  const planned = await row(page, GOAL, "completed");
  const { plan, rationale } = (await app.call(`tasks/${id}`)).result;
  await planned.getByText(`${plan.length} steps`).waitFor();
  await planned.locator("summary").focus();
  await page.keyboard.press("Enter");
  await planned.getByText(rationale).waitFor();
  assert.deepEqual(await planned.locator(".steps > li > bdi").allTextContents(), plan.map((step) => step.action));
  for (const { acceptance_criteria } of plan) {
    for (const criterion of acceptance_criteria) assert.ok(await planned.getByText(criterion, { exact: true }).count());
  }
  assert.equal(await planned.getByRole("button").count(), 0, "it has ended");
  await app.submit({ goal: "A newer task" });
  await row(page, "A newer task", "completed");
  assert.ok(await planned.getByText(rationale).isVisible());
  assert.ok(await planned.locator("summary").evaluate((at) => at === document.activeElement), "the focus stays");
  await page.watched();
  await app.stop();
});

test("texts of callers are shown as they are, and never as markup", async () => {
  const app = await orchestrator();
  const goal = '<img src="https://evil.example/x" onerror="alert(1)"><script>alert(2)</script>&amp;';
  await app.submit({ goal, assigned_arm: "<b>coder</b>" });
  await app.submit({ goal });
  const page = await visit(chromium, app.url);
  const planned = await row(page, "onerror", "completed");
  assert.equal(await planned.locator(".goal").textContent(), goal);
  await planned.locator("summary").click();
  await planned.getByText("confidence").waitFor();
  assert.equal(await page.locator("main img, main script, main b").count(), 0);
  await page.watched();
  await app.stop();
});

test("a task is cancelled with its button", async () => {
  const app = await orchestrator();
  const id = await app.submit({ goal: "Wait for the coder", assigned_arm: "coder" });
  const page = await visit(chromium, app.url);
  await page.getByRole("button", { name: "Cancel: Wait for the coder" }).click();
  const cancelled = await row(page, "Wait for the coder", "cancelled");
  assert.equal((await app.call(`tasks/${id}`)).status, "cancelled");
  assert.equal(await page.getByRole("status").textContent(), "The task is cancelled.");
  assert.equal(await cancelled.getByRole("button").isVisible(), false);
  assert.ok(await cancelled.locator("summary").evaluate((at) => at === document.activeElement));
  await page.watched();
  await app.stop();
});

test("the status is chosen, and is in the address", async () => {
  const app = await orchestrator();
  await app.submit({ goal: "Keep it", assigned_arm: "coder" });
  await app.submit({ goal: GOAL });
  const page = await visit(chromium, app.url);
  await row(page, GOAL, "completed");
  await page.getByLabel("Status").selectOption("Pending");
  await page.locator(".task").filter({ hasText: GOAL }).waitFor({ state: "detached" });
  assert.equal(await page.locator(".task").count(), 1);
  assert.equal(new URL(page.url()).search, "?status=pending");
  await page.reload();
  await row(page, "Keep it", "pending");
  assert.equal(await page.locator(".task").count(), 1);
  await page.getByLabel("Status").selectOption("Failed");
  await page.getByText("No failed tasks.").waitFor();
  await page.watched();
  await app.stop();
});

test("fifty tasks make a page", async () => {
  const app = await orchestrator();
  for (let number = 1; number <= 53; number += 1) await app.submit({ goal: `Task number ${number}.`, assigned_arm: "coder" });
  const page = await visit(chromium, app.url);
  const [older, newer] = ["Older", "Newer"].map((name) => page.getByRole("button", { name }));
  await row(page, "Task number 53.", "pending");
  assert.equal(await page.locator(".task").count(), 50);
  assert.deepEqual([await newer.isDisabled(), await older.isDisabled()], [true, false]);
  await older.click();
  await row(page, "Task number 1.", "pending");
  assert.equal(await page.locator(".task").count(), 3);
  assert.deepEqual([await newer.isDisabled(), await older.isDisabled()], [false, true]);
  assert.deepEqual(await scan(page), []);
  await newer.click();
  await row(page, "Task number 53.", "pending");
  await page.watched();
  await app.stop();
});

test("it refreshes itself unless told not to, and says when it cannot", async () => {
  const app = await orchestrator();
  const page = await visit(chromium, app.url, { allow: [/Failed to load resource/] });
  await page.getByText("No tasks yet").waitFor();
  await page.getByLabel("Refresh automatically").uncheck();
  await page.waitForLoadState("networkidle");
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await app.submit({ goal: "Unseen", assigned_arm: "coder" });
  await page.waitForTimeout(3000);
  assert.deepEqual(asked, []);
  await page.getByLabel("Refresh automatically").check();
  await row(page, "Unseen", "pending");
  await app.stop();
  await page.getByRole("alert").getByText("The orchestrator cannot be reached.").waitFor();
  assert.ok(await page.locator(".task").count(), "what was there stays");
  assert.deepEqual(await scan(page), []);
  await page.watched();
});

test("a failed task says why, also on a phone", async () => {
  const app = await orchestrator({ PLANNER_ARM_URL: "http://127.0.0.1:9" });
  await app.submit({ goal: "Too late ".repeat(60), budget: { max_time_seconds: 1 } });
  const page = await visit(chromium, app.url, PHONE);
  const failed = await row(page, "Too late", "failed");
  await failed.locator("summary").click();
  await failed.getByText("the time budget of 1 s was used up").waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
  assert.deepEqual(await scan(page), []);
  await shot(page, "orchestrator-phone");
  await page.watched();
  await app.stop();
});
