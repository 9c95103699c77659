// `/docs`: Swagger UI as people see it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, service, shot, visit } from "./support.mjs";

let chromium, app;
before(async () => ([chromium, app] = await Promise.all([browser(), service({ ENGINE: "embedded" })])));
after(() => Promise.all([chromium?.close(), app?.stop()]));

test("the documentation is light or dark as the system is, and leads back to the page", async () => {
  const page = await visit(chromium, app.url, { colorScheme: "dark" });
  await page.goto(`${app.url}docs`);
  await page.getByText("Creates a plan for a goal").first().waitFor();
  const ground = () => page.evaluate(() => Number(/\d+/.exec(getComputedStyle(document.body).backgroundColor)[0]));
  assert.ok((await ground()) < 64);
  await shot(page, "docs-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForFunction(() => !document.documentElement.classList.contains("dark-mode"));
  assert.ok((await ground()) > 200);
  await page.getByRole("link", { name: "← Planner arm" }).click();
  await page.getByLabel("Goal", { exact: true }).waitFor();
  assert.equal(page.url(), app.url);
  await page.watched();
});

test("a call is tried with its example, which gets an answer", async () => {
  // Swagger UI warns of itself when it is opened at one operation.
  const page = await visit(chromium, app.url, { allow: [/deep link whitespace/] });
  await page.goto(`${app.url}docs#/planning/create_plan`);
  const operation = page.locator("#operations-planning-create_plan");
  await operation.getByRole("button", { name: "Execute" }).waitFor();
  assert.match(await operation.locator(".body-param textarea").inputValue(), /"goal": "Fix the login bug and add tests"/);
  assert.match(await operation.locator(".responses-table").first().innerText(), /Know the cause first; fix and tests can then be written in parallel\./);
  await shot(page, "docs-light");
  await operation.getByRole("button", { name: "Execute" }).click();
  await operation.locator(".live-responses-table .response-col_status").getByText("200").waitFor();
  await page.watched();
});
