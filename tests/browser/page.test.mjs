// From a goal to a graph: what somebody sees who uses the page as it is meant.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { BINARY, SEVEN, browser, exported, fakeLlm, gate, many, pieces, plan, ready, service, shot, step, visit } from "./support.mjs";

let chromium, llm, app, embedded;
before(async () => {
  llm = await fakeLlm();
  [chromium, app, embedded] = await Promise.all([
    browser(),
    service({ LLM_BASE_URL: llm.url, MAX_PLAN_STEPS: 50, CACHE_TTL_SECONDS: 0, LLM_MAX_ATTEMPTS: 2, TIMEOUT_SECONDS: 120 }),
    service({ ENGINE: "embedded" }),
  ]);
});
after(() => Promise.all([chromium?.close(), app?.stop(), embedded?.stop(), llm?.stop()]));

const texts = async (page, selector) => (await page.locator(selector).allInnerTexts()).map((text) => text.replaceAll(/\s+/g, " ").trim());
const boxes = async (page) =>
  Promise.all((await page.locator(".node").all()).map((node) => node.boundingBox()));

test("a goal becomes a graph: levels from left to right, arms, critical path, totals", async () => {
  const page = await visit(chromium, app.url);
  await shot(page, "empty");
  llm.says = () => pieces(SEVEN);
  await plan(page, "Fix the sign-in and add tests");
  await ready(page);

  const at = await boxes(page);
  assert.equal(at.length, 7);
  const column = (number) => Math.round(at[number - 1].x);
  assert.deepEqual([column(1), column(2), column(2)], [column(6), column(3), column(4)]);
  assert.ok(column(1) < column(2) && column(2) < column(5) && column(5) < column(7));
  for (let a = 0; a < 7; a++) {
    for (let b = 0; b < a; b++) {
      const apart = Math.abs(at[a].x - at[b].x) >= at[a].width || Math.abs(at[a].y - at[b].y) >= at[a].height;
      assert.ok(apart, `steps ${a + 1} and ${b + 1} lie on each other`);
    }
  }
  const edges = await page.locator(".edge").evaluateAll((paths) => paths.map(({ dataset }) => dataset.edge).sort());
  assert.deepEqual(edges, ["1-2", "1-3", "1-4", "2-5", "3-5", "4-7", "5-7", "6-7"]);
  const critical = await page.locator(".edge.critical").evaluateAll((paths) => paths.map(({ dataset }) => dataset.edge).sort());
  assert.deepEqual(critical, ["1-3", "3-5", "5-7"]);
  assert.deepEqual(await texts(page, ".node.critical .number"), ["Step 1", "Step 3", "Step 5", "Step 7"]);
  assert.deepEqual(await texts(page, ".node .arm"), SEVEN.map((step) => step.required_arm));
  assert.deepEqual((await texts(page, ".node .duration")).slice(0, 2), ["37 s", "54 s"]);
  assert.match(await page.locator(".node").nth(1).innerText(), /cost tier 3 of 5/);
  assert.deepEqual(await texts(page, "#legend bdi"), ["retriever", "coder", "guardian", "executor", "judge"]);

  const totals = (await texts(page, ".total")).join(" | ");
  for (const part of ["Time About 4 minutes if steps run in parallel · 8 min 17 s one after the other",
    "Steps 7 critical path 1 → 3 → 5 → 7", "Cost of this plan $0.00097 930 tokens · 1 call", "Cost of the steps tier 5 of 5 the highest of any step",
    "Confidence 90%", "Complexity 68%", "Made by gpt-3.5-turbo"]) {
    assert.ok(totals.includes(part), `${part}: ${totals}`);
  }
  assert.equal(await page.locator("#origin").isVisible(), false, "it came from the configured model");
  assert.equal(await page.locator("#rationale").innerText(), "Each part can be checked by itself.");
  assert.match(await page.locator("#findings").innerText(), /^None/);
  // What the page shows is what every caller gets.
  const body = JSON.stringify({ goal: "Fix the sign-in and add tests" });
  const asked = await fetch(`${app.url}plan?include=schedule`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const { usage, repairs, warnings, open_questions, plan_id, ...shown } = JSON.parse(await page.locator("#raw").textContent());
  assert.deepEqual(shown, await asked.json());
  assert.equal(await page.locator("#steps > li").count(), 7);
  await shot(page, "plan-light");
  await page.watched();
});

test("steps appear while they are written, and those of an answer that came to nothing go", async () => {
  const page = await visit(chromium, app.url);
  const [third, cut, fourth] = [gate(), gate(), gate()];
  llm.calls = 0;
  llm.says = async function* (call) {
    const all = [...pieces(SEVEN)];
    yield* all.slice(0, 4);
    await (call === 1 ? third : fourth).passed;
    if (call > 1) return yield* all.slice(4);
    yield ' {"step": 4, nonsense';
    await cut.passed;
  };
  await plan(page, "Fix the sign-in");
  await page.getByText("Step 3 is written.").waitFor();
  assert.equal(await page.locator(".node").count(), 3);
  assert.equal(await page.getByRole("heading", { name: "Planning…" }).count(), 1);
  assert.equal(await page.locator("#totals").isVisible(), false);
  await shot(page, "preview");
  await page.evaluate(() => {
    window.fewest = 9;
    const list = document.querySelector(".nodes");
    new MutationObserver(() => (window.fewest = Math.min(window.fewest, list.children.length))).observe(list, { childList: true });
  });
  third.open();
  cut.open();
  await page.waitForFunction(() => window.fewest <= 1);
  await page.getByText("Step 3 is written.").waitFor();
  assert.equal(await page.locator(".node").count(), 3, "those of the second answer, not six");
  fourth.open();
  await ready(page);
  assert.equal(await page.locator(".node").count(), 7);
  assert.match((await texts(page, ".total")).join(), /2 calls/);
  await page.watched();
});

test("repairs are listed, and the final plan replaces the preview", async () => {
  const page = await visit(chromium, app.url);
  const odd = [step(1, "Coder", "Write it", []), step(2, "executor", "Run it", [1, 1, 9], { estimated_cost_tier: 11 }), step(3, "judge", "Verify it", [2])];
  llm.says = () => pieces(odd);
  await plan(page, "Write it");
  await ready(page);
  const repairs = await texts(page, "#findings li");
  assert.ok(repairs.some((text) => text.startsWith("✎ Arm replaced in step 1 The arm “Coder” ")), repairs.join());
  assert.ok(repairs.includes("✎ Number corrected in step 2 The cost tier was 11, not a whole number from 1 to 5; it is now 5."), repairs.join());
  // On the node too, with the value that the LLM wrote.
  assert.match((await texts(page, ".node .found-line"))[0], /^✎ Arm replaced: The arm “Coder” /);
  assert.equal(await page.locator(".node .found-line").count(), 2);
  await page.locator(".node").nth(1).click();
  assert.match(await page.getByRole("dialog").innerText(), /Number corrected.+The cost tier was 11/);
  await page.keyboard.press("Escape");
  await page.watched();
});

test("all of it works with the keyboard alone", async () => {
  const page = await visit(chromium, app.url);
  const key = (name) => page.keyboard.press(name);
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.id);
  assert.equal(await focused(), "goal", "one can type at once");
  await page.keyboard.type("Fix the sign-in");
  await key("Tab");
  await page.keyboard.type("Use Python only");
  llm.says = () => pieces(SEVEN);
  await key("Control+Enter");
  await ready(page);
  const asked = JSON.parse(await page.evaluate(() => document.querySelector("#raw").textContent));
  assert.equal(asked.plan.length, 7);

  // Everything that can be pressed is reached, and it shows.
  const reached = new Set();
  for (let i = 0; i < 40; i++) {
    await key("Tab");
    const { name, outline } = await page.evaluate(() => {
      const at = document.activeElement;
      return { name: at.id || at.dataset.copy || at.innerText, outline: getComputedStyle(at).outlineStyle };
    });
    if (name !== "" && !name.startsWith("Skip")) reached.add(name.split("\n")[0].trim());
    if (await page.evaluate(() => document.activeElement !== document.body)) assert.equal(outline, "solid", name);
  }
  for (const name of ["history-open", "API", "change", "copy-link", "Export", "print", "tab-graph", "graph", "feedback", "revise", "Raw JSON"]) {
    assert.ok(reached.has(name), `${name} is not reached: ${[...reached]}`);
  }

  await page.locator(".node").nth(4).focus();
  await key("Enter");
  const detail = page.getByRole("dialog");
  await detail.waitFor();
  assert.equal(await detail.getByRole("heading", { level: 2 }).innerText().then((text) => text.replace("\n", " ")), "Step 5 Run all tests and record their output");
  assert.match(await detail.innerText(), /DONE WHEN\s+Run all tests and record their output: done and written down\s+NEEDS\s+Step 2\s+Step 3\s+NEEDED BY\s+Step 7/i);
  await shot(page, "detail");
  await key("Shift+ArrowRight");
  assert.match(await detail.innerText(), /Run all tests/, "keys with others are the browser's");
  await key("ArrowRight");
  assert.match(await detail.innerText(), /Look up the release notes/);
  await detail.getByRole("button", { name: "Step 7" }).press("Enter");
  assert.match(await detail.innerText(), /Verify that sign-in works/);
  await key("Escape");
  assert.equal(await detail.isVisible(), false);
  // The focus is where the reading was, once the dialog's event has arrived.
  await page.waitForFunction(() => document.activeElement.innerText.includes("Verify that sign-in works"));
  await page.watched();
});

test("each step appears once, and stays the button that it is while others come", async () => {
  const page = await visit(chromium, app.url, { reducedMotion: "no-preference" });
  await page.evaluate(() => {
    window.appeared = [];
    document.addEventListener("animationstart", ({ animationName, target }) => {
      if (animationName === "appear") window.appeared.push(target.querySelector(".number").textContent);
    });
  });
  const seen = (count) => page.waitForFunction((count) => window.appeared.length >= count, count);
  llm.says = async function* () {
    // The first two pieces are the beginning and step 1, which is complete with what follows it.
    for (const [i, piece] of [...pieces(SEVEN)].entries()) {
      if (i > 2) await seen(i - 1);
      yield piece;
    }
  };
  await plan(page, "Fix the sign-in");
  await seen(1);
  const first = await page.locator(".node").first().elementHandle();
  await seen(4);
  assert.equal(await first.evaluate((node) => node.isConnected), true);
  await ready(page);
  // What is started by the last change has started with the second frame after it.
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  assert.deepEqual(await page.evaluate(() => window.appeared), SEVEN.map(({ step }) => `Step ${step}`));
  await page.watched();
});

test("Escape ends the call to the LLM, and so does leaving", async () => {
  for (const leave of [(page) => page.keyboard.press("Escape"), (page) => page.getByRole("button", { name: /^Cancel/ }).click(), (page) => page.goto("about:blank")]) {
    const page = await visit(chromium, app.url, { allow: [/^outside: about:blank/] });
    const never = gate();
    llm.gone = 0;
    llm.says = async function* () {
      yield [...pieces(SEVEN)].slice(0, 3).join("");
      await never.passed;
    };
    await plan(page, "Fix the sign-in");
    await page.getByText("Step 2 is written.").waitFor();
    await leave(page);
    while (!llm.gone) await new Promise((turn) => setImmediate(turn));
    if (page.url() === app.url) {
      await page.getByText("Cancelled. The call to the language model was stopped.").waitFor();
      await page.getByRole("heading", { name: "Incomplete preview (cancelled)" }).waitFor();
      assert.equal(await page.locator("#alert").innerText(), "", "what one wants is no error");
      await page.watched();
    }
    never.open();
  }
});

test("an example is a goal, and the focus goes to what ends its plan", async () => {
  const page = await visit(chromium, app.url);
  const wait = gate();
  llm.says = async function* () {
    await wait.passed;
    yield* pieces(SEVEN);
  };
  const focus = () => page.evaluate(() => document.activeElement.id);
  await page.getByRole("button", { name: "Research vector databases" }).press("Enter");
  assert.equal(await focus(), "cancel");
  wait.open();
  await ready(page);
  assert.match(await page.locator("#goal").inputValue(), /^Research vector databases/);
  await page.locator("#change:focus").waitFor();
  await page.watched();
});

test("copies work where they are pasted: curl, JSON and Mermaid", async () => {
  const page = await visit(chromium, embedded.url);
  const goal = `Debug "login" & don't \`break\` $HOME <tests>; it's #1\\n`;
  await page.getByLabel("Constraints").fill("Use Python only\n\n  Don't stop  ");
  await page.getByText("Options: limits").click();
  const context = '{"who\'s": ["a", 1.0, 12345678901234567890, null]}';
  await page.getByLabel("Context").fill(`\n${context} `);
  await page.getByLabel("Make a new plan").check();
  await plan(page, goal);
  await ready(page);
  const copied = async (name) => {
    await exported(page, `Copy as ${name}`);
    await page.getByText("Copied.").waitFor();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    await page.evaluate(() => (document.querySelector("#copied").textContent = ""));
    return text;
  };
  const shown = JSON.parse(await copied("JSON"));
  const call = await copied("curl");
  assert.ok(call.replaceAll("'\\''", "'").includes(`"context":${context}}`), call);
  const again = JSON.parse(execFileSync("sh", ["-c", call], { encoding: "utf8" }));
  assert.notEqual(again.plan_id, shown.plan_id);
  assert.deepEqual({ ...again, plan_id: "" }, { ...shown, plan_id: "" });
  assert.ok(JSON.stringify(shown).includes("Don't stop"), "constraints are in the plan");

  const args = ["plan", goal, "--constraint", "Use Python only", "--constraint", "  Don't stop  ", "--context", context, "--format", "mermaid"];
  const env = { PATH: process.env.PATH, PLANNER_ENGINE: "embedded" };
  assert.equal(await copied("Mermaid"), execFileSync(BINARY, args, { encoding: "utf8", env, stdio: ["ignore", "pipe", "ignore"] }));
  assert.match(await page.locator("#banner").innerText(), /^The embedded planner makes plans from playbooks.+PLANNER_OPENAI_API_KEY.+PLANNER_LLM_BASE_URL/);
  await shot(page, "embedded");
  await page.watched();
});

test("it works behind a path prefix, and without a clipboard of its own", async () => {
  const { createServer, request } = await import("node:http");
  const proxy = createServer((asked, answer) => {
    assert.ok(asked.url.startsWith("/some/where/"), asked.url);
    const passed = request(new URL(asked.url.slice("/some/where/".length), embedded.url), { method: asked.method, headers: asked.headers });
    passed.on("response", (response) => (answer.writeHead(response.statusCode, response.headers), response.pipe(answer)));
    asked.pipe(passed);
  });
  await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));
  const page = await visit(chromium, `http://127.0.0.1:${proxy.address().port}/some/where/`);
  await plan(page, "Debug the login and add tests");
  await ready(page);
  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await exported(page, "Copy as curl");
  await page.getByText("Copied.").waitFor();
  await page.locator("#feedback").press("Control+V");
  assert.match(await page.locator("#feedback").inputValue(), /^curl -sS 'http:\/\/127\.0\.0\.1:\d+\/some\/where\/plan\?include=/);
  await page.watched();
  proxy.close();
  proxy.closeAllConnections();
});

test("fifty steps are drawn, and edges past other levels go around the steps in them", async () => {
  const page = await visit(chromium, app.url);
  llm.says = () => pieces(many(50));
  await plan(page, "Migrate");
  await ready(page);
  assert.equal(await page.locator(".node").count(), 50);
  const hidden = await page.evaluate(() => {
    // Points on each edge that lie well within a step which is neither of its ends.
    const nodes = [...document.querySelectorAll(".nodes > li")].map((item) => {
      const [x, y] = /translate\((.+)px, (.+)px\)/.exec(item.style.transform).slice(1).map(Number);
      return { x, y, width: item.offsetWidth, height: item.offsetHeight };
    });
    return [...document.querySelectorAll(".edge.direct")].flatMap((path) => {
      const length = path.getTotalLength();
      const points = Array.from({ length: 60 }, (_, i) => path.getPointAtLength((length * i) / 59));
      return points.filter((p) => nodes.some((n) => p.x > n.x + 8 && p.x < n.x + n.width - 8 && p.y > n.y + 4 && p.y < n.y + n.height - 4)).map(() => path.dataset.edge);
    });
  });
  assert.deepEqual(hidden, []);
  llm.says = () => pieces(many(20));
  await plan(page, "Migrate less");
  await page.getByText("20 steps, about").waitFor();
  assert.equal(await page.locator(".node").count(), 20);
  await shot(page, "plan-twenty");
  await page.watched();
});
