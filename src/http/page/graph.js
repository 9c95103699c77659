// The drawing: nodes are buttons in a list, in the order of the steps, above the edges, which are an SVG.

import { element, isolated, moves, svg } from "./dom.js";
import { arrange, levels } from "./layout.js";
import { Viewport } from "./viewport.js";
import { finding, time, visible } from "./words.js";

/** Hues that are easily told apart, for any arms there may be; none is that of the critical path. */
const HUES = Array.from({ length: 10 }, (_, i) => (110 + 29 * i) % 360);
/** Pixels. With many columns the gaps between them are narrower. */
const SIZE = { height: 132, gapY: 18, lane: 12 };
const gapX = (columns) => (columns > 5 ? 32 : 44);
const MARKS = { done: ["✓", "done"], failed: ["✕", "failed"] };

/** The graph in `region`; `open` is called with the number of a step that is chosen. */
export class Graph {
  constructor(region, legend, tools, open) {
    this.region = region;
    this.legend = legend;
    this.open = open;
    this.edges = svg("svg", { "aria-hidden": "true", class: "edges" });
    this.list = element("ol", { class: "nodes", role: "list" });
    this.canvas = element("div", { class: "canvas" }, this.edges, this.list);
    this.viewport = new Viewport(region, this.canvas, tools);
    new ResizeObserver(() => this.arrange()).observe(region);
    this.hues = new Map();
    this.clear();
  }

  /** Nothing has been planned, or what was shown is void. */
  clear() {
    this.steps = [];
    this.nodes = new Map();
    this.contents = new WeakMap();
    this.hues.clear();
    this.list.replaceChildren();
    this.edges.replaceChildren();
    this.legend.replaceChildren();
    this.width = 0;
    this.drawn = null;
  }

  /**
   * Shows `steps`; `critical` is the critical path, once there is a plan; `findings` and `marks` are what was found and
   * how it went, by step.
   */
  show(steps, { critical = [], findings = new Map(), marks = {} } = {}) {
    this.steps = steps;
    this.critical = new Set(critical);
    this.path = new Set(critical.slice(1).map((step, i) => `${critical[i]}-${step}`));
    this.region.classList.toggle("preview", critical.length === 0);
    for (const [number, node] of this.nodes) {
      if (!steps.some(({ step }) => step === number)) {
        node.remove();
        this.nodes.delete(number);
      }
    }
    for (const step of steps) this.node(step, findings.get(step.step) ?? [], marks[step.step]);
    this.showLegend();
    this.width = 0;
    this.arrange();
    // What is being written stays in sight; a plan is read from its beginning.
    this.region.scrollLeft = critical.length ? 0 : this.region.scrollWidth;
  }

  node(step, findings, { status, text } = {}) {
    let item = this.nodes.get(step.step);
    const critical = this.critical.has(step.step), content = JSON.stringify([step, critical, findings, status, text]);
    // It may be being pressed just now.
    if (item && this.contents.get(item) === content) return;
    const fresh = !item;
    if (fresh) {
      item = element("li");
      this.nodes.set(step.step, item);
      this.list.append(item);
    }
    this.contents.set(item, content);
    const kinds = ["node", critical && "critical", fresh && "fresh", status, (findings.length || status === "failed") && "found"].filter(Boolean);
    const button = element("button", { type: "button", class: kinds.join(" ") },
      element("span", { class: "node-head" },
        element("span", { class: "number" }, element("span", { class: "unseen" }, "Step "), String(step.step)),
        isolated(step.required_arm, "span", { class: "arm" }),
        status ? mark(status) : null,
        critical ? flag() : null),
      isolated(step.action, "span", { class: "action" }),
      status === "failed" ? foundLine("failed", `✕ Failed: ${text}`) : findings.length ? found(findings) : null,
      element("span", { class: "node-foot" },
        element("span", { class: "duration" }, time(step.estimated_duration_seconds)),
        cost(step.estimated_cost_tier)));
    button.addEventListener("click", () => this.open(step.step));
    for (const [event, near] of [["pointerenter", true], ["focus", true], ["pointerleave", false], ["blur", false]]) {
      button.addEventListener(event, () => this.near(step.step, near));
    }
    const hadFocus = item.contains(document.activeElement);
    item.replaceChildren(button);
    item.style.setProperty("--hue", this.hue(step.required_arm));
    if (hadFocus) button.focus({ preventScroll: true });
  }

  /** The arm's own hue where it is free, else the next that is. */
  hue(arm) {
    if (!this.hues.has(arm)) {
      const taken = new Set(this.hues.values());
      let place = [...arm].reduce((sum, c) => (sum * 37 + c.codePointAt(0)) % 9973, 5) % HUES.length;
      for (let tries = 0; tries < HUES.length && taken.has(HUES[place]); tries++) place = (place + 3) % HUES.length;
      this.hues.set(arm, HUES[place]);
    }
    return this.hues.get(arm);
  }

  showLegend() {
    const arms = [...this.hues].map(([arm, hue]) => {
      const item = element("li", {}, element("span", { class: "swatch" }), isolated(arm));
      item.style.setProperty("--hue", hue);
      return item;
    });
    const line = element("li", {}, element("span", { class: "line" }), element("span", { "aria-hidden": "true" }, "◆"), "critical path");
    this.legend.replaceChildren(...arms, ...(this.critical.size ? [line] : []));
  }

  /** Puts everything where it belongs in the width that there is. */
  arrange() {
    const available = this.viewport.room();
    if (!this.steps.length || available <= 0 || available === this.width) return;
    this.width = available;
    const columns = Math.max(...levels(this.steps).values()) + 1;
    const width = nodeWidth(available, columns);
    const drawn = arrange(this.steps, { ...SIZE, gapX: gapX(columns), width });
    this.drawn = { ...drawn, nodeWidth: width, nodeHeight: SIZE.height };
    for (const [step, { x, y }] of drawn.nodes) {
      const { style } = this.nodes.get(step);
      Object.assign(style, { width: `${width}px`, height: `${SIZE.height}px`, transform: `translate(${x}px, ${y}px)` });
    }
    this.edges.setAttribute("width", drawn.width);
    this.edges.setAttribute("height", drawn.height);
    this.draw([...drawn.implied.map((edge) => ({ ...edge, kind: "implied" })), ...drawn.direct]);
    this.viewport.resize(drawn.width, drawn.height);
  }

  draw(edges) {
    const drawn = new Map([...this.edges.children].map((path) => [path.dataset.edge, path]));
    // Those of the critical path last, so that they lie above the others.
    const rank = ({ from, to }) => this.path.has(`${from}-${to}`);
    for (const { from, to, d, kind = "direct" } of edges.sort((a, b) => rank(a) - rank(b))) {
      const name = `${from}-${to}`;
      const path = drawn.get(name) ?? svg("path", { "data-edge": name, pathLength: 1, fill: "none" });
      if (!drawn.delete(name) && moves()) path.addEventListener("animationend", () => path.classList.remove("new"));
      path.setAttribute("class", `edge ${kind}${this.path.has(name) ? " critical" : ""}`);
      if (!path.isConnected && moves()) path.classList.add("new");
      path.setAttribute("d", d);
      this.edges.append(path);
    }
    for (const path of drawn.values()) path.remove();
  }

  /** Puts the focus on the node of step `number`. */
  focus(number) {
    this.nodes.get(number)?.firstChild.focus();
  }

  /** Shows what step `number` needs and what needs it. */
  near(number, near) {
    this.region.classList.toggle("looking", near);
    for (const path of this.edges.children) {
      path.classList.toggle("near", near && path.dataset.edge.split("-").includes(String(number)));
    }
  }
}

/** As wide as lets all columns be seen at once, within what can be read. */
const nodeWidth = (available, columns) =>
  Math.floor(Math.min(264, Math.max(176, (available + gapX(columns)) / columns - gapX(columns))));

/** The mark of the critical path; where there is little room, without the word. */
const flag = () => element("span", { class: "flag" },
  element("span", { "aria-hidden": "true" }, "◆", element("span", { class: "flag-word" }, " critical")),
  element("span", { class: "unseen" }, "on the critical path"));

/** How a step went, as a sign and a word. */
export function mark(status) {
  const [sign, word] = MARKS[status];
  return element("span", { class: `mark ${status}` }, element("span", { "aria-hidden": "true" }, sign), element("span", { class: "mark-word" }, ` ${word}`));
}

/** The first finding about a step, and how many more there are. */
function found(findings) {
  const [first, ...others] = findings;
  const more = others.length ? `(+${others.length}) ` : "";
  const all = findings.map(({ message }) => message).join("\n");
  return foundLine(first.kind, `${first.kind === "warning" ? "⚠" : "✎"} ${more}${finding(first.code)}: ${first.message}`, all);
}

const foundLine = (kind, text, all = text) => isolated(text, "span", { class: `found-line ${kind}`, title: visible(all) });

/** A cost tier as dots and in words: a number with a currency sign would read as money. */
export function cost(tier) {
  const dots = Array.from({ length: 5 }, (_, i) => element("i", { class: i < tier ? "on" : false }));
  return element("span", { class: "cost" },
    element("span", {}, element("span", { class: "cost-word" }, "cost "), `tier ${tier} of 5`),
    element("span", { class: "dots", "aria-hidden": "true" }, ...dots));
}
