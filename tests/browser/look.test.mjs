// How it looks, and to whom: light and dark, phones, assistive technology, people whom movement makes ill.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { SEVEN, browser, fakeLlm, many, pieces, plan, ready, service, shot, step, visit } from "./support.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

let chromium, llm, app;
before(async () => {
  llm = await fakeLlm();
  chromium = await browser();
  app = await service({ LLM_BASE_URL: llm.url, MAX_PLAN_STEPS: 50, CACHE_TTL_SECONDS: 0, LLM_MAX_ATTEMPTS: 1, LLM_BREAKER_THRESHOLD: 100 });
});
after(() => Promise.all([chromium?.close(), app?.stop(), llm?.stop()]));

/** What axe finds wrong by WCAG 2.2 AA and by good practice, contrast included. */
async function scan(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 4).join(", ")}`);
}

/** Contrast of each text with the ground on which it stands (WCAG 2.2, 1.4.3), where it is below 4.5. */
const faint = (page) => page.evaluate(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgb = (color, under = [0, 0, 0]) => {
    canvas.fillStyle = `rgb(${under.join(" ")})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (color) => color.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (at) => (at ? rgb(getComputedStyle(at).backgroundColor, ground(at.parentElement)) : [255, 255, 255]);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  let seen = 0;
  while (texts.nextNode()) {
    const at = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !at.checkVisibility() || at.closest(".unseen, :disabled")) continue;
    const below = ground(at), [a, b] = [light(rgb(getComputedStyle(at).color, below)), light(below)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (contrast < 4.5) faint.push(`${texts.currentNode.data.trim().slice(0, 30)}: ${contrast.toFixed(2)}`);
  }
  return { seen, faint };
});

for (const colorScheme of ["light", "dark"]) {
  test(`in ${colorScheme} everything can be read, and axe finds nothing`, async () => {
    const page = await visit(chromium, app.url, { colorScheme });
    assert.deepEqual(await scan(page), []);
    llm.says = () => pieces(many(20));
    await plan(page, "Migrate");
    await ready(page);
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const [red] = /\d+/.exec(ground);
    assert.equal(Number(red) < 64, colorScheme === "dark", ground);
    const { seen, faint: found } = await faint(page);
    assert.ok(seen > 100, `${seen} texts`);
    assert.deepEqual(found, []);
    assert.deepEqual(await scan(page), []);
    await shot(page, `plan-twenty-${colorScheme}`);
    await page.locator(".node").nth(2).click();
    assert.deepEqual(await scan(page), []);
    await page.keyboard.press("Escape");
    llm.says = () => pieces(SEVEN);
    await plan(page, "Fix the sign-in and add tests");
    await page.getByText("7 steps, about").waitFor();
    await shot(page, `plan-${colorScheme}`);
    llm.says = () => [401];
    await plan(page, "Migrate");
    await page.getByRole("alert").getByRole("heading").waitFor();
    assert.deepEqual((await faint(page)).faint, []);
    assert.deepEqual(await scan(page), []);
    await shot(page, `error-${colorScheme}`);
    await page.watched();
  });
}

test("every arm's colour can be told from the others and read, whatever the arms are called", async () => {
  const page = await visit(chromium, app.url);
  const hues = await page.evaluate(async () => {
    const { Graph } = await import(new URL("page/graph.js", document.baseURI));
    const graph = new Graph(...["div", "ul", "div"].map((name) => document.createElement(name)), () => {});
    return ["a", "b", "übersetzer", "планировщик", "翻译", "a b", "x".repeat(100), "1", "🚀", "Z"].map((arm) => graph.hue(arm));
  });
  assert.equal(new Set(hues).size, 10, hues.join());
  await page.watched();
});

test("on a phone the plan comes before the form, each step once, and nothing is wider than the screen", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await visit(chromium, app.url, { ...PHONE, colorScheme });
    await shot(page, `phone-empty-${colorScheme}`);
    llm.says = () => pieces(SEVEN);
    await plan(page, "Fix the sign-in and add tests");
    await ready(page);
    assert.equal(await page.locator("#goal").isVisible(), false);
    assert.ok((await page.getByRole("heading", { name: "Plan", exact: true }).boundingBox()).y < 400);
    for (const { action } of SEVEN) assert.equal(await page.getByText(action, { exact: true }).filter({ visible: true }).count(), 1, action);
    const wide = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(await wide(), 0);
    const broken = await page.locator("#tools button").evaluateAll((buttons) => buttons.filter((button) => button.offsetHeight > 40).length);
    assert.equal(broken, 0, "no word is broken");
    assert.deepEqual(await scan(page), []);
    await shot(page, `phone-plan-${colorScheme}`);
    for (const name of ["Timeline", "Graph"]) {
      await page.getByRole("tab", { name }).tap();
      assert.equal(await wide(), 0, name);
      assert.deepEqual(await scan(page), []);
      await shot(page, `phone-${name}-${colorScheme}`);
    }
    await page.locator(".node").first().tap();
    await page.getByRole("dialog").waitFor();
    assert.equal(await wide(), 0);
    await shot(page, `phone-detail-${colorScheme}`);
    await page.watched();
  }
});

test("six columns and 24 steps can be read at 1,400 pixels", async () => {
  const steps = Array.from({ length: 24 }, (_, i) => {
    const number = i + 1;
    const needed = number === 24 ? Array.from({ length: 23 }, (_, n) => n + 1) : number > 5 ? [number - 5] : [];
    return step(number, number === 24 ? "judge" : ["retriever", "coder", "executor"][i % 3], `Carry out part ${number} of the migration of billing`, needed);
  });
  const page = await visit(chromium, app.url, { viewport: { width: 1400, height: 900 } });
  llm.says = () => pieces(steps);
  await plan(page, "Migrate the billing");
  await ready(page);
  const { columns, wide, clipped, smallest } = await page.evaluate(() => {
    const region = document.querySelector("#graph"), nodes = [...document.querySelectorAll(".node")];
    const scale = Number(/scale\((.+)\)/.exec(document.querySelector(".canvas").style.transform)[1]);
    const sizes = nodes.flatMap((node) => [...node.querySelectorAll(".action, .arm, .duration")].map((at) => scale * parseFloat(getComputedStyle(at).fontSize)));
    return {
      columns: new Set(nodes.map((node) => Math.round(node.getBoundingClientRect().x))).size,
      wide: region.scrollWidth - region.clientWidth,
      clipped: nodes.filter((node) => [...node.querySelectorAll(".action, .arm, .node-foot")].some((at) => at.scrollWidth > at.clientWidth + 1 || at.scrollHeight > at.clientHeight + 1)).length,
      smallest: Math.min(...sizes),
    };
  });
  assert.equal(columns, 6);
  assert.equal(wide, 0, "no need to scroll sideways");
  assert.equal(clipped, 0, "every action is whole");
  assert.ok(smallest >= 12, `${smallest} pixels`);
  await page.watched();
});

test("the graph is zoomed, fitted and moved with buttons, keys and mouse", async () => {
  const page = await visit(chromium, app.url);
  llm.says = () => pieces(many(20));
  await plan(page, "Migrate");
  await ready(page);
  const level = () => page.locator("#zoom-level").innerText().then((text) => parseInt(text, 10));
  const first = await level();
  await page.getByRole("button", { name: "Zoom in" }).click();
  assert.ok((await level()) > first);
  await page.locator("#graph").focus();
  await page.keyboard.press("1");
  assert.equal(await level(), 100);
  await page.keyboard.press("-");
  assert.ok((await level()) < 100);
  await page.getByRole("button", { name: "Fit" }).click();
  const inside = await page.evaluate(() => {
    const region = document.querySelector("#graph");
    return [region.scrollWidth - region.clientWidth, region.scrollHeight - region.clientHeight];
  });
  assert.deepEqual(inside, [0, 0]);
  await page.keyboard.press("Tab");
  for (let i = 0; i < 6; i++) await page.getByRole("button", { name: "Zoom in" }).click();
  const at = () => page.locator("#graph").evaluate((region) => [region.scrollLeft, region.scrollTop]);
  const before = await at(), box = await page.locator("#graph").boundingBox();
  const ground = await page.evaluate(({ x, y, width, height }) => {
    for (let dx = 20; dx < width - 20; dx += 11) for (let dy = 60; dy < height - 60; dy += 11) {
      if (document.elementFromPoint(x + dx, y + dy)?.matches(".graph, .sizer, .canvas, .nodes")) return { x: x + dx, y: y + dy };
    }
  }, box);
  await page.mouse.move(ground.x, ground.y);
  await page.mouse.down();
  await page.mouse.move(ground.x - 70, ground.y);
  await page.mouse.up();
  assert.equal((await at())[0], before[0] + 70);
  await page.watched();
});

test("a graph in a smaller window has narrower steps, and its columns stay", async () => {
  const page = await visit(chromium, app.url);
  llm.says = () => pieces(SEVEN);
  await plan(page, "Fix the sign-in");
  await ready(page);
  const width = () => page.locator(".nodes > li").first().evaluate((item) => item.offsetWidth);
  const before = await width();
  await page.setViewportSize({ width: 900, height: 900 });
  await page.waitForFunction((before) => document.querySelector(".nodes > li").offsetWidth < before, before);
  const columns = await page.locator(".nodes > li").evaluateAll((items) => new Set(items.map((item) => Math.round(item.getBoundingClientRect().x))).size);
  assert.equal(columns, 4);
  await page.watched();
});

test("on paper there are the goal, the graph, the timeline and all steps, and no buttons to press", async () => {
  const page = await visit(chromium, app.url);
  llm.says = () => pieces(SEVEN);
  await plan(page, "Fix the sign-in and add tests");
  await ready(page);
  await page.emulateMedia({ media: "print", colorScheme: "light" });
  for (const selector of ["#print-goal", "#totals", "#graph .node", "#timeline .bar", "#steps h3", "#rationale"]) {
    assert.equal(await page.locator(selector).first().isVisible(), true, selector);
  }
  for (const selector of ["#form", ".top", "#tools", "#tabs", "#revise-form", ".open-step"]) {
    assert.equal(await page.locator(selector).first().isVisible(), false, selector);
  }
  const paper = await page.pdf({ format: "A4" });
  assert.equal(paper.subarray(0, 5).toString(), "%PDF-");
  await shot(page, "print");
  await page.watched();
});

test("movement is for those who welcome it", async () => {
  llm.says = () => pieces(SEVEN);
  for (const [reducedMotion, moving] of [["reduce", false], ["no-preference", true]]) {
    const page = await visit(chromium, app.url, { reducedMotion });
    await page.evaluate(() => {
      window.begun = 0;
      for (const name of ["animationstart", "transitionstart"]) document.addEventListener(name, (event) => (window.begun += /^(appear|draw|transform)$/.test(event.animationName ?? event.propertyName)));
    });
    await plan(page, "Fix the sign-in");
    await ready(page);
    await page.evaluate(() => new Promise((frame) => requestAnimationFrame(() => requestAnimationFrame(frame))));
    assert.equal((await page.evaluate(() => window.begun)) > 0, moving, reducedMotion);
    await page.watched();
  }
});
