// The service as a process of its own, an LLM that does as it is told, and a browser that is watched.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
export const BINARY = join(resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target"), "debug/planner-arm");
/** Where pictures go; without it none are taken. */
const SCREENSHOTS = process.env.PLANNER_TEST_SCREENSHOTS;
/** While somebody works on the page: a folder whose files are used instead of those in the binary. */
const PAGE_FILES = process.env.PLANNER_TEST_PAGE_FILES;

/** The service on a free port, with settings named without their prefix. */
export async function service(settings, binary = BINARY, prefix = "PLANNER_") {
  const env = { PATH: process.env.PATH };
  const all = { HOST: "127.0.0.1", PORT: 0, LOG_FORMAT: "json", ...settings };
  for (const [name, value] of Object.entries(all)) env[prefix + name] = String(value);
  const child = spawn(binary, ["serve"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((end) => child.on("exit", end));
  const address = await new Promise((found, failed) => {
    createInterface(child.stdout).on("line", (line) => {
      const [, address] = /"address":"([^"]+)"/.exec(line) ?? [];
      if (address) found(address);
    });
    child.on("exit", (code) => failed(new Error(`the service ended with ${code}`)));
    child.on("error", failed);
  });
  const stop = (signal = "SIGTERM") => (child.kill(signal), ended);
  return { url: `http://${address}/`, stop };
}

/** An OpenAI-compatible server. `llm.says(call)` yields what it says, piece by piece, or a status. */
export async function fakeLlm() {
  const llm = { says: null, calls: 0, gone: 0 };
  const server = createServer(async (request, response) => {
    for await (const _ of request);
    llm.calls += 1;
    response.on("close", () => (llm.gone += !response.writableFinished));
    const chunk = (choices, more) => response.write(`data: ${JSON.stringify({ object: "chat.completion.chunk", choices, ...more })}\n\n`);
    for await (const piece of llm.says(llm.calls)) {
      if (typeof piece === "number") {
        response.writeHead(piece, { "content-type": "application/json" });
        return response.end('{"error": {"message": "as told"}}');
      }
      if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
      chunk([{ index: 0, delta: { content: piece }, finish_reason: null }]);
    }
    chunk([{ index: 0, delta: {}, finish_reason: "stop" }]);
    chunk([], { usage: { prompt_tokens: 420, completion_tokens: 510, total_tokens: 930 } });
    response.end("data: [DONE]\n\n");
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  llm.url = `http://127.0.0.1:${server.address().port}/v1`;
  llm.stop = () => (server.close(), server.closeAllConnections());
  return llm;
}

/** A gate that `open()` opens. */
export function gate() {
  let open;
  const passed = new Promise((pass) => (open = pass));
  return { open, passed };
}

/** A step as an LLM writes it. */
export const step = (number, arm, action, needed, more = {}) => ({
  step: number, action, required_arm: arm, acceptance_criteria: [`${action}: done and written down`],
  depends_on: needed, estimated_cost_tier: 1 + (number % 5), estimated_duration_seconds: 20 + 17 * (number % 7), ...more,
});

/** What an LLM says that makes a plan of `steps`, one piece a step. */
export function* pieces(steps, rationale = "Each part can be checked by itself.") {
  yield '{"plan": [';
  for (const [i, step] of steps.entries()) yield (i ? "," : "") + JSON.stringify(step);
  yield `], "rationale": ${JSON.stringify(rationale)}, "confidence": 0.9}`;
}

export const SEVEN = [
  step(1, "retriever", "Gather the requirements and the code that handle sign-in", []),
  step(2, "coder", "Fix the expiry check of session tokens", [1]),
  step(3, "coder", "Write tests for normal, expired and forged tokens", [1]),
  step(4, "guardian", "Redact personal data from the recorded fixtures", [1]),
  step(5, "executor", "Run all tests and record their output", [2, 3]),
  step(6, "retriever", "Look up the release notes that mention sign-in", []),
  step(7, "judge", "Verify that sign-in works and that nothing else has changed", [4, 5, 6]),
];

/** A larger plan: the first three steps depend on nothing, the others on one or two before them. */
export const many = (count) => Array.from({ length: count }, (_, i) => {
  const number = i + 1, arms = ["retriever", "coder", "executor", "guardian", "planner", "judge"];
  if (number === count) return step(number, "judge", "Verify the whole result against the goal and all criteria", [count - 1, count - 2, count - 3]);
  const needed = number < 4 ? [] : [...new Set([number - 3, number - 1 - (number % 3)])].filter((n) => n > 0).sort((a, b) => a - b);
  return step(number, arms[number % 5], `Carry out part ${number} of the migration and keep the old way working meanwhile`, needed);
});

const browsers = ["chromium", "chromium-browser", "google-chrome"];

/** Debian's Chromium, or whichever the path has. */
export function browser() {
  const executablePath = browsers.map((name) => {
    try {
      return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    } catch {
      return null;
    }
  }).find(Boolean);
  assert.ok(executablePath, `none of ${browsers.join(", ")} is on the path`);
  // Its sandbox does not work for root.
  return chromium.launch({ executablePath, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
}

/** A page at `url` in a context of its own. `watched.end()` says that nothing happened that must never happen. */
export async function visit(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce", ...options });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(url).origin });
  if (PAGE_FILES) {
    for (const pattern of [url, `${url}page/*`]) {
      await context.route(pattern, async (route) => {
        const name = new URL(route.request().url()).pathname.split("/page/")[1] ?? "index.html";
        const headers = (await route.fetch({ url })).headers();
        const contentType = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" }[name.split(".").at(-1)] ?? "text/html";
        await route.fulfill({ headers: { ...headers, "content-type": contentType }, body: readFileSync(join(PAGE_FILES, name)) });
      });
    }
  }
  const page = await context.newPage();
  const faults = [];
  const allowed = options.allow ?? [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`error: ${error}`));
  page.on("dialog", (dialog) => (faults.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) faults.push(`outside: ${request.url()}`);
  });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url + (options.fragment ?? ""));
  page.watched = async () => {
    faults.push(...(await page.evaluate(() => window.violations)));
    assert.deepEqual(faults.filter((fault) => !allowed.some((pattern) => pattern.test(fault))), []);
    await context.close();
  };
  return page;
}

/** Types `goal` and presses Plan. */
export async function plan(page, goal) {
  const change = page.getByRole("button", { name: "Change the request" });
  if (await change.isVisible()) await change.click();
  await page.getByLabel("Goal", { exact: true }).fill(goal);
  await page.getByRole("button", { name: /^Plan/ }).click();
}

/** Presses `name` in the menu of exports. */
export async function exported(page, name) {
  await page.locator("#export").evaluate((menu) => (menu.open = true));
  await page.getByRole("button", { name }).click();
}

/** Waits until the plan is there. */
export const ready = (page) => page.getByRole("heading", { name: "Plan", exact: true }).waitFor();

/** A picture of the whole page, for people. */
export async function shot(page, name) {
  if (!SCREENSHOTS) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}
