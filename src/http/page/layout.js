// Where steps and the edges between them go: dagre's layered layout, with one column for each level of the schedule.

import { Graph, layout } from "./dagre.js";

/** Arrows end this short of a node. */
const SHORT = 3;

/** The dependencies of each step that no longer path implies, and those that one does, as `[from, to]`. */
export function edges(steps) {
  const before = new Map();
  const direct = [], implied = [];
  for (const { step, depends_on: needed } of steps) {
    const known = needed.filter((n) => before.has(n));
    const further = new Set(known.flatMap((n) => [...before.get(n)]));
    for (const n of known) (further.has(n) ? implied : direct).push([n, step]);
    before.set(step, new Set([...known, ...further]));
  }
  return { direct, implied };
}

/** The steps by level, as a plan's `schedule` has them: one more than the highest that a step depends on. */
export function levels(steps) {
  const level = new Map();
  for (const { step, depends_on: needed } of steps) {
    level.set(step, Math.max(-1, ...needed.map((n) => level.get(n) ?? -1)) + 1);
  }
  return level;
}

/** How dagre aligns nodes: by the median of four ways, or by one of them alone, which takes far less height now and then. */
const ALIGNMENTS = [undefined, "UL", "UR", "DL", "DR"];

/** The steps and the `direct` edges as dagre lays them out with `align`; all of it is between `top` and `top + height`. */
function laidOut(steps, direct, level, { width, height, gapX, gapY, lane }, align) {
  const graph = new Graph();
  // dagre ranks edges too, between the ranks of their ends: hence twice the level. What else it ranks is its own root.
  const ranker = (ranked) => {
    for (const name of ranked.nodes()) ranked.node(name).rank = level.has(Number(name)) ? 2 * level.get(Number(name)) : -1;
  };
  graph.setGraph({ rankdir: "LR", nodesep: gapY, edgesep: lane, ranksep: gapX, ranker, align });
  for (const { step } of steps) graph.setNode(String(step), { width, height });
  for (const [from, to] of direct) graph.setEdge(String(from), String(to), { labelpos: "c" });
  layout(graph);
  // An edge may pass above all steps or below them, which dagre does not count.
  const ys = graph.edges().flatMap((edge) => graph.edge(edge).points.map((point) => point.y));
  const top = Math.floor(Math.min(0, ...ys));
  return { graph, top, height: Math.ceil(Math.max(graph.graph().height, ...ys) - top) };
}

/**
 * Levels from left to right. `size` has the width and height of a node, and the gaps between nodes. Gives the `nodes`,
 * `{x, y}` of the upper left corner by step, and the edges, `{from, to, d}`, `direct` and `implied`.
 */
export function arrange(steps, sizes) {
  const { width, height, gapX } = sizes, { direct, implied } = edges(steps), level = levels(steps);
  const tried = ALIGNMENTS.map((align) => laidOut(steps, direct, level, sizes, align));
  const { graph, top, height: whole } = tried.reduce((best, one) => (one.height < 0.9 * best.height ? one : best));
  const x = (step) => level.get(step) * (width + gapX);
  const y = (step) => Math.round(graph.node(step).y - top);
  const line = ([from, to]) => {
    // Where the edge passes a level, it runs straight past the steps in it.
    const passed = [];
    for (const point of graph.edge(String(from), String(to)).points.slice(1, -1)) {
      const column = (point.x - width / 2) / (width + gapX);
      if (Math.abs(column - Math.round(column)) < 0.01) passed.push([Math.round(column) * (width + gapX), Math.round(point.y - top)]);
    }
    const bend = gapX / 2, end = x(to) - SHORT;
    let d = `M${x(from) + width} ${y(from)}`, before = y(from);
    for (const [left, at] of passed) {
      d += `C${left - bend} ${before} ${left - bend} ${at} ${left} ${at}H${left + width}`;
      before = at;
    }
    d += `C${end - bend} ${before} ${end - bend} ${y(to)} ${end} ${y(to)}`;
    return { from, to, d: d + tip(end, y(to)) };
  };
  const arc = ([from, to]) => {
    const x1 = x(from) + width, x2 = x(to) - SHORT, bend = Math.max(24, (x2 - x1) / 3);
    return { from, to, d: `M${x1} ${y(from)}C${x1 + bend} ${y(from)} ${x2 - bend} ${y(to)} ${x2} ${y(to)}${tip(x2, y(to))}` };
  };
  return {
    width: (Math.max(...level.values()) + 1) * (width + gapX) - gapX,
    height: whole,
    nodes: new Map(steps.map(({ step }) => [step, { x: x(step), y: y(step) - height / 2 }])),
    direct: direct.map(line),
    implied: implied.map(arc),
  };
}

/** The head of an arrow to the right. */
const tip = (x, y) => `M${x - 6} ${y - 4}L${x} ${y}L${x - 6} ${y + 4}`;

/** When each step starts and ends, in seconds from the beginning, if each begins as soon as it can. */
export function times(steps) {
  const at = new Map();
  for (const { step, depends_on: needed, estimated_duration_seconds: duration } of steps) {
    const start = Math.max(0, ...needed.map((n) => at.get(n)?.end ?? 0));
    at.set(step, { start, end: start + duration });
  }
  return at;
}
