// The parts of the page that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { curl, json, markdown, mermaid } from "../../src/http/page/formats.js";
import { arrange, edges, levels, times } from "../../src/http/page/layout.js";
import { bodyOf, fromFragment, requestFor, toFragment } from "../../src/http/page/request.js";
import { read } from "../../src/http/page/api.js";
import { many } from "./support.mjs";
import { about, dollars, seconds, time } from "../../src/http/page/words.js";

const bytes = (text) => new TextEncoder().encode(text);

/** The events that come of `pieces`, as they come from the network. */
async function events(pieces) {
  const found = [];
  const body = new ReadableStream({
    start(stream) {
      pieces.forEach((piece) => stream.enqueue(piece));
      stream.close();
    },
  });
  for await (const event of read(body)) found.push(event);
  return found;
}

test("events are read whatever the ends of lines, and wherever the network cuts them", async () => {
  const text = ":\n\nevent: step\ndata: {\"é\":\"🚀\"}\n\n: x-planner-engine: embedded\n: b\n\nevent:plan\ndata:1\ndata: 2\nid: 7\nretry\n\nevent: cut\ndata: off";
  const wanted = [
    { name: "", data: "", comments: [""] },
    { name: "step", data: "{\"é\":\"🚀\"}", comments: [] },
    { name: "", data: "", comments: [" x-planner-engine: embedded", " b"] },
    { name: "plan", data: "1\n2", comments: [] },
  ];
  for (const end of ["\n", "\r\n", "\r"]) {
    const all = bytes(text.replaceAll("\n", end));
    for (const size of [1, 2, 3, 7, all.length]) {
      const pieces = Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
      assert.deepEqual(await events(pieces), wanted, `${JSON.stringify(end)} in pieces of ${size}`);
    }
  }
});

test("times are said as planner-arm plan says them, and headlines as people do", () => {
  // The same as the test of `duration` in Rust.
  for (const [length, said] of [[0, "0 s"], [45, "45 s"], [120, "2 min"], [285, "4 min 45 s"], [5400, "1 h 30 min"], [3661, "1 h 1 min"],
    [86400, "1 day"], [187200, "2 days 4 h"], [604800, "1 week"], [2592000, "4 weeks 2 days"], [31536000, "52 weeks 1 day"]]) {
    assert.equal(time(length), said);
  }
  for (const [length, said] of [[0, "0 seconds"], [1, "1 second"], [45, "45 seconds"], [90, "1.5 minutes"], [233, "4 minutes"], [2460, "41 minutes"],
    [3590, "1 hour"], [7000, "2 hours"], [9000, "2.5 hours"], [40000, "11 hours"], [86400, "1 day"], [345600, "4 days"], [864000, "1.5 weeks"]]) {
    assert.equal(about(length), said);
  }
  for (const [text, length] of [["90 s", 90], ["1 h 30 min", 5400], ["2 days", 172800], ["1.5h", 5400], ["1,5 h", 5400], ["45m", 2700], ["1 week and 1 day", 691200],
    ["3", null], ["", null], ["soon", null], ["2 fortnights", null], ["-5 min", null]]) {
    assert.equal(seconds(text), length, text);
  }
  for (const [amount, said] of [[0, "$0"], [0.000975, "$0.00097"], [0.0123, "$0.012"], [0.5, "$0.50"], [12, "$12.00"]]) assert.equal(dollars(amount), said);
});

test("Mermaid has no way out of a label, and JSON turns nothing around", () => {
  const step = (number, action, needed) => ({ step: number, action, required_arm: "coder", depends_on: needed, estimated_duration_seconds: 90 });
  // The same as the test in src/cli/render/mermaid.rs.
  assert.equal(mermaid([step(1, "Say \"hi\"] --> x[<b>#1</b>", []), step(2, "End", [1])]),
    "flowchart LR\n    s1[\"1. Say #quot;hi#quot;] --#gt; x[#lt;b#gt;#35;1#lt;/b#gt;<br/>coder · 1 min 30 s\"]\n    s2[\"2. End<br/>coder · 1 min 30 s\"]\n    s1 --> s2\n");
  assert.ok(mermaid([step(1, "a\u202eb\u0007`c`\nd & e", [])]).includes("1. ab#96;c#96; d #amp; e<br/>"));
  const said = { action: "a\u009b31m\u001b[2J\u007f\u202eb\n\"é\"" };
  assert.ok(!/[\u007f-\u009f\u202a-\u202e]/.test(json(said)));
  assert.deepEqual(JSON.parse(json(said)), said);
});

test("curl asks what was asked", () => {
  const text = curl("http://h/plan?include=id", '{"goal":"don\'t"}', { fresh: true, hasToken: true });
  assert.equal(text, `curl -sS 'http://h/plan?include=id' \\
  -H 'Content-Type: application/json' \\
  -H "Authorization: Bearer $TOKEN" \\
  -H 'Cache-Control: no-cache' \\
  -d '{"goal":"don'\\''t"}'
`);
  assert.ok(!/TOKEN|no-cache/.test(curl("http://h/plan", "{}")));
});

test("a link has all of a request, and a malformed one loses only what is malformed", () => {
  const request = requestFor("Ship & \"test\" it #1 100 %\n🚀", {
    constraints: ["Use Python only", "a=b&c"], context: '{"n": 12345678901234567890}', arms: ["coder", "Maler ✏"],
    budget: { max_duration_seconds: 3600, max_cost_tier: 3, max_steps: 5 }, playbook: "release", fresh: true,
  });
  assert.deepEqual(fromFragment(toFragment(request)), request);
  assert.deepEqual(fromFragment(toFragment(requestFor("x"))), requestFor("x"));
  assert.deepEqual(fromFragment("#goal=x&max_steps=-3&max_cost_tier=a&constraint=%20&fresh=yes&token=s3cret&%zz"), requestFor("x"));
  assert.equal(fromFragment("#step-3"), null);
  const body = bodyOf(request);
  assert.ok(body.endsWith(',"context":{"n": 12345678901234567890}}'), "numbers keep their digits");
  assert.deepEqual(Object.keys(JSON.parse(body)), ["goal", "constraints", "arms", "budget", "playbook", "context"]);
  assert.equal(bodyOf(requestFor("x")), '{"goal":"x"}');
});

test("Markdown shows texts as they are, and what is done", () => {
  const step = (number, action, needed) => ({ step: number, action, required_arm: "coder", acceptance_criteria: ["a *b*"], depends_on: needed, estimated_cost_tier: 2, estimated_duration_seconds: 90 });
  const plan = { plan: [step(1, "# [Say](x) <b>\n- `hi`", []), step(2, "End", [1])], rationale: "Why", confidence: 0.9, total_estimated_duration: 180, schedule: { critical_path_seconds: 180 },
    warnings: [{ code: "time_limit", step: null, message: "It is *long*." }, { code: "vague_action", step: 2, message: "It is vague." }] };
  const text = markdown(requestFor("Ship _it_", { constraints: ["c|d"] }), plan, { 1: { status: "done" }, 2: { status: "failed", text: "It *broke*" } });
  assert.ok(text.startsWith("# Ship \\_it\\_\n\nAbout 3 minutes if steps run in parallel · 3 min one after the other · 2 steps · confidence 90%.\n\n## Constraints\n\n- c\\|d\n"), text);
  assert.ok(text.includes("1. [x] **\\# \\[Say\\](x) \\<b\\> - \\`hi\\`**  \n   coder · 1 min 30 s · cost tier 2 of 5\n   - [x] a \\*b\\*\n2. [ ] **End**"), text);
  assert.ok(text.includes("   - **Failed:** It \\*broke\\*\n"), text);
  assert.ok(text.includes("\n\n## Warnings\n\n- It is \\*long\\*.\n- Step 2: It is vague.\n\n## Graph\n"), text);
  assert.ok(text.includes("```mermaid\nflowchart LR\n"), text);
});

/** Plans of every shape, the same each time. */
function* plans(count) {
  let seed = 7;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let n = 0; n < count; n++) {
    yield Array.from({ length: 1 + random(50) }, (_, i) => ({
      step: i + 1,
      depends_on: [...new Set(Array.from({ length: random(4) }, () => random(i + 1)))].filter((d) => d > 0 && d <= i).sort((a, b) => a - b),
    }));
  }
}

test("edges that a longer way implies are told from those that nothing else says", () => {
  const steps = [[], [1], [1, 2], [2], [1, 3, 4]].map((depends_on, i) => ({ step: i + 1, depends_on }));
  assert.deepEqual(edges(steps), { direct: [[1, 2], [2, 3], [2, 4], [3, 5], [4, 5]], implied: [[1, 3], [1, 5]] });
  assert.deepEqual([...levels(steps).values()], [0, 1, 2, 2, 3]);
  // A preview may name steps that are not there.
  assert.deepEqual(edges([{ step: 1, depends_on: [2, 9] }, { step: 2, depends_on: [1] }]), { direct: [[1, 2]], implied: [] });
});

test("no two steps touch, whoever needs another stands right of it, and edges pass between steps", () => {
  for (const steps of plans(80)) {
    const size = { width: 184, height: 132, gapX: 44, gapY: 18, lane: 12 };
    const drawn = arrange(steps, size), level = levels(steps);
    const at = steps.map(({ step }) => drawn.nodes.get(step));
    for (let a = 0; a < at.length; a++) {
      assert.equal(at[a].x, level.get(a + 1) * (size.width + size.gapX), "a column for each level");
      assert.ok(at[a].y >= 0 && at[a].x + size.width <= drawn.width && at[a].y + size.height <= drawn.height + 1);
      for (let b = 0; b < a; b++) assert.ok(at[a].x !== at[b].x || Math.abs(at[a].y - at[b].y) >= size.height + size.gapY - 1);
    }
    for (const { d } of [...drawn.direct, ...drawn.implied]) assert.ok(!/NaN|undefined|null/.test(d), d);
    for (const { d, from, to } of drawn.direct) {
      const straights = [...d.matchAll(/ (\d+)H(\d+)/g)].map(([, y, right]) => ({ y: Number(y), left: Number(right) - size.width }));
      assert.equal(straights.length, level.get(to) - level.get(from) - 1, `${from}-${to} passes each level between`);
      for (const { y, left } of straights) assert.ok(at.every((node) => node.x !== left || y <= node.y || y >= node.y + size.height), `${from}-${to} crosses a step`);
    }
  }
});

test("a plan that is four steps high is drawn no higher, whatever the order of its dependencies", () => {
  for (const count of [12, 20, 24, 50]) {
    for (const order of [(a, b) => a - b, (a, b) => b - a]) {
      const steps = many(count).map((step) => ({ ...step, depends_on: step.depends_on.toSorted(order) }));
      const { height } = arrange(steps, { width: 176, height: 132, gapX: 32, gapY: 18, lane: 12 });
      assert.ok(height < 4.5 * (132 + 18), `${count} steps take ${height} pixels`);
    }
  }
});

test("each step starts when the last one that it needs ends", () => {
  const steps = [[10, []], [20, [1]], [5, [1]], [1, [2, 3]], [7, []]].map(([estimated_duration_seconds, depends_on], i) => ({ step: i + 1, depends_on, estimated_duration_seconds }));
  assert.deepEqual([...times(steps).values()].map(({ start, end }) => [start, end]), [[0, 10], [10, 30], [10, 15], [30, 31], [0, 7]]);
});
