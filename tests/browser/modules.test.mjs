// The parts of the page that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { across, down, edges, levels } from "../../src/http/page/layout.js";
import { read } from "../../src/http/page/talk.js";
import { curl, json, mermaid, time } from "../../src/http/page/words.js";

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

test("times are said as planner-arm plan says them", () => {
  for (const [seconds, said] of [[0, "0 s"], [45, "45 s"], [120, "2 min"], [5400, "1 h 30 min"], [3661, "1 h 1 min 1 s"]]) {
    assert.equal(time(seconds), said);
  }
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
  const text = curl("http://h/plan?include=id", { body: '{"goal":"don\'t"}', anew: true }, true);
  assert.equal(text, `curl -sS 'http://h/plan?include=id' \\
  -H 'Content-Type: application/json' \\
  -H "Authorization: Bearer $TOKEN" \\
  -H 'Cache-Control: no-cache' \\
  -d '{"goal":"don'\\''t"}'
`);
  assert.ok(!/TOKEN|no-cache/.test(curl("http://h/plan", { body: "{}", anew: false }, false)));
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

test("no two steps touch, and whoever needs another stands right of it, or below", () => {
  for (const steps of plans(200)) {
    const size = { width: 184, height: 132, gapX: 44, gapY: 18, lane: 12 };
    const wide = across(steps, size);
    const at = steps.map(({ step }) => wide.nodes.get(step));
    for (let a = 0; a < at.length; a++) {
      assert.ok(at[a].x >= 0 && at[a].y >= 0 && at[a].x + size.width <= wide.width && at[a].y + size.height <= wide.height);
      for (let b = 0; b < a; b++) assert.ok(at[a].x !== at[b].x || Math.abs(at[a].y - at[b].y) >= size.height + size.gapY - 1);
      for (const needed of steps[a].depends_on) assert.ok(at[needed - 1].x < at[a].x);
    }
    const narrow = down(steps, { ...size, laneGap: 9, mostLanes: 5, available: 328 });
    steps.slice(1).forEach(({ step }) => assert.ok(narrow.nodes.get(step).y >= narrow.nodes.get(step - 1).y + size.height));
    assert.ok(narrow.nodeWidth >= 328 - 14 - 45);
    for (const { d } of [...wide.direct, ...wide.implied, ...narrow.direct, ...narrow.implied]) assert.ok(!/NaN|undefined|null/.test(d), d);
  }
});
