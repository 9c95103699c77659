// What somebody sees when it does not go well, and when somebody means harm.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { SEVEN, browser, exported, fakeLlm, gate, pieces, plan, ready, service, shot, step, visit } from "./support.mjs";

/** Chromium itself writes of every status that is an error, and of every call that fails. */
const ALLOWED = { allow: [/^console: Failed to load resource/] };

let chromium, llm, app;
const services = [];
const started = async (settings) => {
  const one = await service(settings);
  services.push(one);
  return one;
};
before(async () => {
  llm = await fakeLlm();
  chromium = await browser();
  app = await started({ LLM_BASE_URL: llm.url, CACHE_TTL_SECONDS: 0, LLM_MAX_ATTEMPTS: 1, LLM_BREAKER_THRESHOLD: 100 });
});
after(() => Promise.all([chromium?.close(), ...services.map((one) => one.stop()), llm?.stop()]));

const alert = async (page) => {
  await page.getByRole("alert").getByRole("heading").waitFor();
  return (await page.getByRole("alert").innerText()).replaceAll(/\s*\n\s*/g, " | ");
};

test("what is wrong with the form is said beside it, before anybody is asked", async () => {
  const page = await visit(chromium, app.url);
  llm.calls = 0;
  await plan(page, "  ");
  const goal = page.getByLabel("Goal", { exact: true });
  assert.equal(await goal.getAttribute("aria-invalid"), "true");
  assert.equal(await page.evaluate(() => document.activeElement.id), "goal");
  assert.equal(await page.locator("#goal-fault").innerText(), "Enter a goal.");
  await page.getByText("Options: limits").click();
  await page.getByLabel("Context").fill("{language: Python}");
  await page.getByText("Options: limits").click();
  await plan(page, "Ship it");
  assert.equal(await goal.getAttribute("aria-invalid"), null);
  assert.match(await page.locator("#context-fault").innerText(), /^This is not JSON\./);
  assert.equal(await page.locator("#context").isVisible(), true, "it is opened where the fault is");
  assert.equal(llm.calls, 0);
  await page.watched();
});

test("what the service finds wrong with a request is marked where it is", async () => {
  const page = await visit(chromium, app.url, ALLOWED);
  await page.getByLabel("Constraints").fill(`Be quick\n${"long ".repeat(500)}`);
  await page.getByText("Options: limits").click();
  await page.getByLabel("Context").fill("[1]");
  await plan(page, "Ship it");
  const said = await alert(page);
  assert.match(said, /^Invalid request \| The request is invalid: constraints\[1\] .+; context must be an object, not an array\. \| Correct the marked fields\. \| Request id: page-[0-9a-f]{32}$/);
  assert.match(await page.locator("#constraints-fault").innerText(), /^Constraint 2 must be 1 to 2,000 characters/);
  assert.equal(await page.locator("#context-fault").innerText(), "It must be an object, not an array.");
  await page.getByLabel("Constraints").fill("");
  await page.getByLabel("Context").fill("");
  llm.says = () => pieces(SEVEN);
  await plan(page, "Ship it");
  await ready(page);
  assert.equal(await page.locator("#alert").innerText(), "");
  assert.equal(await page.locator("[aria-invalid]").count(), 0);
  await page.watched();
});

test("a goal that is too long is pasted as it is, and said to be too long", async () => {
  const page = await visit(chromium, app.url, ALLOWED);
  await page.evaluate(() => navigator.clipboard.writeText("🚀".repeat(10001)));
  const goal = page.getByLabel("Goal", { exact: true });
  await goal.press("Control+V");
  assert.equal([...(await goal.inputValue())].length, 10001);
  await page.getByRole("button", { name: /^Plan/ }).click();
  assert.match(await alert(page), /^Invalid request \|/);
  assert.match(await page.locator("#goal-fault").innerText(), /^It must be 1 to 10,000 characters long/);
  await page.watched();
});

test("errors of the LLM are sentences that say what to do", async () => {
  const page = await visit(chromium, app.url);
  for (const [status, wanted] of [
    [401, /^The LLM failed \| The LLM server refused the key; check PLANNER_OPENAI_API_KEY\. \| Retry once this is fixed\. \| Request id: page-/],
    [500, /^The LLM is unavailable \| .+\. \| The language model is busy or down\..* \| Request id: page-/],
  ]) {
    llm.says = () => [status];
    await plan(page, "Ship it");
    assert.match(await alert(page), wanted);
    assert.equal(await page.locator("#result").isVisible(), false);
    await shot(page, `error-${status}`);
  }
  llm.says = () => ["I would rather not."];
  await plan(page, "Ship it");
  await page.getByRole("heading", { name: "No valid plan" }).waitFor();
  assert.match(await alert(page), /Retry, or make the goal more precise\./);
  await page.watched();
});

test("a limit says when the next plan is free", async () => {
  const limited = await started({ ENGINE: "embedded", RATE_LIMIT_PER_MINUTE: 1 });
  const page = await visit(chromium, limited.url, ALLOWED);
  await plan(page, "Ship it");
  await ready(page);
  await plan(page, "Ship it again");
  assert.match(await alert(page), /^Rate limited \| .+ \| You have used up your limit of plans per minute for now\. Retry in \d+ seconds?\. \|/);
  await page.watched();
});

test("a service that goes, a connection that is cut and a stranger's answer are said plainly", async () => {
  const mortal = await started({ LLM_BASE_URL: llm.url, CACHE_TTL_SECONDS: 0 });
  const page = await visit(chromium, mortal.url, { allow: [...ALLOWED.allow, /^console: .*ERR_/] });
  const never = gate();
  llm.says = async function* () {
    yield [...pieces(SEVEN)].slice(0, 3).join("");
    await never.passed;
  };
  await plan(page, "Ship it");
  await page.getByText("Step 2 is written.").waitFor();
  await page.locator(".node").first().click();
  await page.getByRole("dialog").waitFor();
  await mortal.stop("SIGKILL");
  assert.match(await alert(page), /^The connection was cut \| The connection ended before the plan was complete\. \| What is shown is incomplete; retry\. \| Request id: page-/);
  await page.getByRole("heading", { name: "Incomplete preview (failed)" }).waitFor();
  assert.equal(await page.getByRole("dialog").isVisible(), false, "the alert is not hidden behind it");
  never.open();

  await plan(page, "Ship it");
  await page.getByRole("heading", { name: "No connection" }).waitFor();
  assert.match(await alert(page), /The planner arm could not be reached\. \| Check that it is running/);

  await page.route("**/plan?*", (route) => route.fulfill({ status: 502, contentType: "text/html", body: "<h1>Bad gateway</h1>" }));
  await plan(page, "Ship it");
  await page.getByRole("heading", { name: "Unexpected response" }).waitFor();
  assert.match(await alert(page), /The answer had status 502 and no explanation\./);

  for (const [contentType, body] of [["application/json", "{}"], ["text/html", "<h1>Sign in</h1>"], ["", "event: step\n\n"]]) {
    await page.unroute("**/plan?*");
    const answer = gate();
    await page.route("**/plan?*", async (route) => (await answer.passed, route.fulfill({ status: 200, contentType, body })));
    await plan(page, "Ship it");
    assert.equal(await page.locator("#alert").innerText(), "");
    answer.open();
    assert.match(await alert(page), /^Unexpected response \| The answer was not a plan\. \| Something between/);
  }
  await page.watched();
});

test("a token is asked for where one is needed, and kept in memory only", async () => {
  const guarded = await started({ ENGINE: "embedded", AUTH_TOKENS: "s3cret-token,other" });
  const page = await visit(chromium, guarded.url, ALLOWED);
  await plan(page, "Debug the login and add tests");
  const dialog = page.getByRole("dialog", { name: "A token is needed" });
  await dialog.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "token");
  await shot(page, "token");
  for (const [typed, wanted] of [["  ", "Enter the token."], ["tökén", /^A token has ASCII/], ["two words", /no spaces\.$/]]) {
    await page.locator("#token").fill(typed);
    await page.keyboard.press("Enter");
    await dialog.getByText(wanted).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "token");
  }
  assert.equal(await page.locator("#alert").innerText(), "", "nobody was asked");
  await page.locator("#token").fill("");
  await page.keyboard.type("wrong");
  await page.keyboard.press("Enter");
  const again = page.getByRole("dialog", { name: "This token was not accepted" });
  await again.waitFor();
  assert.equal(await page.locator("#token").inputValue(), "");
  assert.equal(await page.locator("#token-fault").isVisible(), false);
  await page.keyboard.type("s3cret-token");
  await page.keyboard.press("Enter");
  await ready(page);

  const traces = await page.evaluate(async () => JSON.stringify([
    location.href, history.state, document.cookie, { ...localStorage }, { ...sessionStorage },
    await indexedDB.databases(), await caches.keys(), document.documentElement.outerHTML,
    [...document.querySelectorAll("input, textarea")].map((field) => field.value),
  ]));
  assert.ok(!traces.includes("s3cret"), traces);
  assert.deepEqual(await page.context().cookies(), []);
  await exported(page, "Copy as curl");
  await page.getByText("Copied.").waitFor();
  const curl = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(curl.includes('"Authorization: Bearer $TOKEN"') && !curl.includes("s3cret"), curl);
  const answer = execFileSync("sh", ["-c", curl], { encoding: "utf8", env: { PATH: process.env.PATH, TOKEN: "s3cret-token" } });
  assert.ok(JSON.parse(answer).plan.length >= 3);

  await page.getByRole("button", { name: "Forget the token" }).click();
  await plan(page, "Once more");
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await dialog.isVisible(), false);
  await page.reload();
  await plan(page, "Once more");
  await dialog.waitFor();
  await page.watched();
});

test("a plan that is not the configured model's says so", async () => {
  const fallback = await started({ LLM_BASE_URL: llm.url, LLM_MAX_ATTEMPTS: 1, FALLBACK_ENGINE: "embedded", LLM_MODEL: "first" });
  const other = await started({ LLM_BASE_URL: llm.url, LLM_MAX_ATTEMPTS: 1, LLM_FALLBACK_MODELS: "second", LLM_MODEL: "first" });
  for (const [where, says, wanted] of [
    [fallback, () => [500], "Made by the embedded planner, from playbooks, because the configured model “first” did not return a plan."],
    [other, (call) => (call === 1 ? [500] : pieces(SEVEN)), "Made by the fallback model “second”, because the configured model “first” did not return a plan."],
  ]) {
    const page = await visit(chromium, where.url);
    llm.calls = 0;
    llm.says = says;
    await plan(page, "Debug the login and add tests");
    await ready(page);
    assert.equal(await page.locator("#origin").innerText(), wanted);
    await page.watched();
  }
});

test("a model that was found on this machine is named, and so is what connects one", async () => {
  const page = await visit(chromium, app.url);
  assert.equal(await page.locator("#banner").isVisible(), false, "a configured model needs no words");
  for (const [health, wanted] of [
    [{ model: "llama3.2:3b", notice: "The model `llama3.2:3b` was found at 127.0.0.1:11434." }, /^The model llama3\.2:3b was found at 127\.0\.0\.1:11434\.$/],
    [{ model: "embedded", notice: "No language model is connected: to connect one, start Ollama." }, /^No language model is connected: to connect one, start Ollama\. Then restart the service\.$/],
    [{ model: "embedded" }, /^The embedded planner makes plans from playbooks, because PLANNER_ENGINE says so\. .+PLANNER_OPENAI_API_KEY.+PLANNER_LLM_BASE_URL.+restart the service\.$/],
  ]) {
    await page.route("**/health", (route) => route.fulfill({ json: { status: "healthy", version: "1.0.0", ...health } }));
    await page.reload();
    await page.locator("#banner").waitFor();
    assert.match((await page.locator("#banner").innerText()).replaceAll(/\s+/g, " ").trim(), wanted);
  }
  await page.watched();
});

test("another service at the same place is no fallback", async () => {
  const page = await visit(chromium, app.url);
  await page.route("**/health", (route) => route.fulfill({ json: { status: "ok", version: "0.0.1", model: "the-one-before" } }));
  await page.reload();
  await page.getByText("0.0.1 · the-one-before").waitFor();
  await page.unroute("**/health");
  llm.says = () => pieces(SEVEN);
  await plan(page, "Ship it");
  await ready(page);
  assert.match(await page.locator("#service").innerText(), / · gpt-3\.5-turbo$/);
  assert.equal(await page.locator("#origin").isVisible(), false);
  await page.watched();
});

test("a fault of the page itself is in the console, and a sentence for people", async () => {
  const page = await visit(chromium, app.url, { allow: [/^console: TypeError/] });
  const logged = page.waitForEvent("console");
  await page.route("**/plan?*", (route) => route.fulfill({ json: { plan: [{ step: 1 }] } }));
  await plan(page, "Ship it");
  assert.match(await alert(page), /^Something went wrong \| This page could not show the answer\. \| Reload the page\./);
  assert.match((await logged).text(), /^TypeError/);
  await page.watched();
});

test("malicious texts stay texts", async () => {
  const page = await visit(chromium, app.url);
  const evil = "<img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>";
  llm.says = () => pieces([
    step(1, "retriever", evil, [], { acceptance_criteria: [evil, "javascript:alert(4)"] }),
    step(2, "coder", "W".repeat(3000), [1]),
    step(3, "coder", `${"שלום עולם ".repeat(30)}\u202egnp.exe`, [1]),
    step(4, "executor", "👩‍👩‍👧‍👦🚀 ﷽ Z̸̡̛͔a̷l̵g̶o̷ 日本語のテキスト", [1, 2]),
    step(5, "judge", "Verify ${alert(5)} {{7*7}} &lt;b&gt; %00", [2, 3, 4]),
  ], `</p><script>alert(6)</script>${evil}`);
  await plan(page, evil);
  await ready(page);
  const seen = await page.locator(".node .action").allInnerTexts();
  assert.equal(seen[0], evil);
  assert.equal(seen[4], "Verify ${alert(5)} {{7*7}} &lt;b&gt; %00");
  assert.equal(await page.locator("main img, main script, main svg svg, .node *[onerror]").count(), 0);
  for (const selector of [".action", "#steps h3", "#raw"]) {
    const all = (await page.locator(selector).allTextContents()).join("");
    assert.ok(!all.includes("\u202e"), `${selector} turns what follows around`);
  }
  assert.match(JSON.parse(await page.locator("#raw").textContent()).plan[2].action, / gnp\.exe$/, "the mark that turns text around is gone");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0);
  const overflow = await page.locator(".node").evaluateAll((nodes) => nodes.filter((node) => node.scrollWidth > node.clientWidth + 1).length);
  assert.equal(overflow, 0);
  await page.locator(".node").first().click();
  assert.match(await page.getByRole("dialog").innerText(), /<img src=x onerror=alert\(1\)>/);
  await page.keyboard.press("Escape");
  await shot(page, "malicious");
  await page.watched();
});
