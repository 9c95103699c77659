// How it looks, and to whom: light and dark, phones, assistive technology, people whom movement makes ill.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { SEVEN, browser, fakeLlm, many, pieces, plan, ready, service, shot, visit } from "./support.mjs";

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
    await page.getByText("7 steps, ").waitFor();
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
    const graph = new Graph(document.createElement("div"), document.createElement("ul"), () => {});
    return ["a", "b", "übersetzer", "планировщик", "翻译", "a b", "x".repeat(100), "1", "🚀", "Z"].map((arm) => graph.hue(arm));
  });
  assert.equal(new Set(hues).size, 10, hues.join());
  await page.watched();
});

test("on a phone the steps stand below each other, and nothing is wider than the screen", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await visit(chromium, app.url, { ...PHONE, colorScheme });
    await shot(page, `phone-empty-${colorScheme}`);
    llm.says = () => pieces(SEVEN);
    await plan(page, "Fix the sign-in and add tests");
    await ready(page);
    const { wide, graph } = await page.evaluate(() => {
      const wider = (at) => at.scrollWidth - at.clientWidth;
      return { wide: wider(document.documentElement), graph: wider(document.querySelector("#graph")) };
    });
    assert.deepEqual([wide, graph], [0, 0]);
    const at = await Promise.all((await page.locator(".node").all()).map((node) => node.boundingBox()));
    for (let i = 1; i < at.length; i++) {
      assert.equal(at[i].x, at[0].x);
      assert.ok(at[i].y >= at[i - 1].y + at[i - 1].height);
    }
    assert.ok(at[0].width > 240);
    assert.equal(await page.locator(".edge").count(), 8);
    const tall = await page.locator("#copies button").evaluateAll((buttons) => buttons.filter((button) => button.offsetHeight > 40).length);
    assert.equal(tall, 0, "no word is broken");
    assert.deepEqual(await scan(page), []);
    await shot(page, `phone-plan-${colorScheme}`);
    await page.locator(".node").nth(4).tap();
    await page.getByRole("dialog").waitFor();
    await shot(page, `phone-detail-${colorScheme}`);
    await page.watched();
  }
});

test("a graph that is turned or made smaller fits again", async () => {
  const page = await visit(chromium, app.url);
  llm.says = () => pieces(SEVEN);
  await plan(page, "Fix the sign-in");
  await ready(page);
  const columns = () => page.locator(".nodes > li").evaluateAll((items) => new Set(items.map((item) => Math.round(item.getBoundingClientRect().x))).size);
  assert.equal(await columns(), 4);
  await page.setViewportSize({ width: 500, height: 900 });
  await page.waitForFunction(() => new Set([...document.querySelectorAll(".nodes > li")].map((item) => item.getBoundingClientRect().x)).size === 1);
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.waitForFunction(() => new Set([...document.querySelectorAll(".nodes > li")].map((item) => item.getBoundingClientRect().x)).size === 4);
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
