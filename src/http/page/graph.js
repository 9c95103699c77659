// The drawing: nodes are buttons in a list, in the order of the steps, above the edges, which are an SVG.

import { element, moves, said, svg } from "./dom.js";
import { across, down, levels } from "./layout.js";
import { time } from "./words.js";

/** Narrower than this, steps stand one below the other. */
const NARROW = 640;
/** Hues that are easily told apart, for any arms there may be; none is that of the critical path. */
const HUES = Array.from({ length: 10 }, (_, i) => (110 + 29 * i) % 360);

/** The graph in `region`; `open` is called with the number of a step that is chosen. */
export class Graph {
  constructor(region, legend, open) {
    this.region = region;
    this.legend = legend;
    this.open = open;
    this.edges = svg("svg", { "aria-hidden": "true", class: "edges" });
    this.list = element("ol", { class: "nodes", role: "list" });
    this.canvas = element("div", { class: "canvas" }, this.edges, this.list);
    region.append(this.canvas);
    new ResizeObserver(() => this.arrange()).observe(region);
    this.clear();
  }

  /** Nothing has been planned, or what was shown is void. */
  clear() {
    this.steps = [];
    this.nodes = new Map();
    this.contents = new WeakMap();
    this.hues = new Map();
    this.list.replaceChildren();
    this.edges.replaceChildren();
    this.legend.replaceChildren();
    this.width = 0;
  }

  /** Shows `steps`; `critical` is the critical path, once there is a plan. */
  show(steps, critical = []) {
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
    for (const step of steps) this.node(step);
    this.showLegend();
    this.width = 0;
    this.arrange();
    // What is being written stays in sight; a plan is read from its beginning.
    this.region.scrollLeft = critical.length ? 0 : this.region.scrollWidth;
  }

  node(step) {
    let item = this.nodes.get(step.step);
    const critical = this.critical.has(step.step), content = JSON.stringify([step, critical]);
    // It may be being pressed just now.
    if (item && this.contents.get(item) === content) return;
    const fresh = !item;
    if (fresh) {
      item = element("li");
      this.nodes.set(step.step, item);
      this.list.append(item);
    }
    this.contents.set(item, content);
    const button = element("button", { type: "button", class: `node${critical ? " critical" : ""}${fresh ? " fresh" : ""}` },
      element("span", { class: "node-head" },
        element("span", { class: "number" }, element("span", { class: "unseen" }, "Step "), String(step.step)),
        said(step.required_arm, "span", { class: "arm" }),
        critical ? flag() : null),
      said(step.action, "span", { class: "action" }),
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
      const item = element("li", {}, element("span", { class: "swatch" }), said(arm));
      item.style.setProperty("--hue", hue);
      return item;
    });
    const line = element("li", {}, element("span", { class: "line" }), element("span", { "aria-hidden": "true" }, "◆"), "critical path");
    this.legend.replaceChildren(...arms, ...(this.critical.size ? [line] : []));
  }

  /** Puts everything where it belongs in the width that there is. */
  arrange() {
    const available = this.region.clientWidth - 32;
    if (!this.steps.length || available <= 0 || available === this.width) return;
    this.width = available;
    const narrow = available < NARROW;
    const size = { height: 132, gapX: 44, gapY: 18, lane: 12 };
    if (narrow) Object.assign(size, { height: 128, gapY: 22, laneGap: 9, mostLanes: 5, available });
    else size.width = this.nodeWidth(available, size.gapX);
    const plan = narrow ? down(this.steps, size) : across(this.steps, size);
    const nodeWidth = plan.nodeWidth ?? size.width;

    this.region.classList.toggle("wide", plan.width > available);
    Object.assign(this.canvas.style, { width: `${plan.width}px`, height: `${plan.height}px` });
    for (const [step, { x, y }] of plan.nodes) {
      const { style } = this.nodes.get(step);
      Object.assign(style, { width: `${nodeWidth}px`, height: `${size.height}px`, transform: `translate(${x}px, ${y}px)` });
    }
    this.edges.setAttribute("width", plan.width);
    this.edges.setAttribute("height", plan.height);
    this.draw([...plan.implied.map((edge) => ({ ...edge, kind: "implied" })), ...plan.direct]);
  }

  /** As wide as lets all levels be seen at once, within what can be read. */
  nodeWidth(available, gap) {
    const count = Math.max(...levels(this.steps).values()) + 1;
    return Math.floor(Math.min(264, Math.max(184, (available + gap) / count - gap)));
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

/** The mark of the critical path; where there is little room, without the word. */
const flag = () => element("span", { class: "flag" },
  element("span", { "aria-hidden": "true" }, "◆", element("span", { class: "flag-word" }, " critical")),
  element("span", { class: "unseen" }, "on the critical path"));

/** A cost tier as dots, and in words for whoever does not see them. */
export function cost(tier) {
  const dots = Array.from({ length: 5 }, (_, i) => element("i", { class: i < tier ? "on" : false }));
  return element("span", { class: "cost", title: `Cost tier ${tier} of 5` },
    element("span", { class: "unseen" }, `cost ${tier} of 5`),
    element("span", { class: "dots", "aria-hidden": "true" }, ...dots));
}
