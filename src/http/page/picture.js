// The graph as an SVG file that needs nothing else: drawn again, since the page itself shows HTML.

import { svg } from "./dom.js";
import { time, visible } from "./words.js";

const MARGIN = 24, HEAD = 56;
const INK = "#1b1e2b", MUTED = "#5a6078", RULE = "#a7aec4", CRITICAL = "#b45309";
/** Characters of East Asian scripts and emoji are about twice as wide as others. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;

const widthOf = (text) => [...text].reduce((sum, c) => sum + (WIDE.test(c) ? 2 : 1), 0);

/** `text` in at most `most` lines of `width` characters; the last one ends with `…` where there is more. */
export function lines(text, width, most) {
  const all = [];
  let line = "";
  for (const word of visible(text).split(/\s+/).filter(Boolean)) {
    let rest = word;
    while (rest) {
      const joined = line ? `${line} ${rest}` : rest;
      if (widthOf(joined) <= width) {
        line = joined;
        rest = "";
      } else if (line) {
        all.push(line);
        line = "";
      } else {
        let part = "";
        for (const c of rest) {
          if (widthOf(part + c) > width) break;
          part += c;
        }
        all.push(part || [...rest][0]);
        rest = rest.slice(all.at(-1).length);
      }
    }
  }
  if (line) all.push(line);
  if (all.length <= most) return all;
  return [...all.slice(0, most - 1), `${[...all[most - 1]].slice(0, width - 1).join("")}…`];
}

/** The SVG of what `graph` shows, under `title`. */
export function picture({ steps, drawn, critical, path, hue }, title, facts) {
  const { nodeWidth: width, nodeHeight: height } = drawn;
  const all = { width: Math.max(drawn.width, 480) + 2 * MARGIN, height: drawn.height + 2 * MARGIN + HEAD };
  const letters = Math.floor((width - 24) / 7);
  const text = (x, y, content, attributes) => svg("text", { x, y, "font-size": 13, fill: INK, ...attributes }, content);
  const line = ({ from, to, d }) => {
    const isCritical = path.has(`${from}-${to}`);
    return svg("path", { d, fill: "none", stroke: isCritical ? CRITICAL : RULE, "stroke-width": isCritical ? 2.5 : 1.5 });
  };
  const node = (step) => {
    const { x, y } = drawn.nodes.get(step.step), isCritical = critical.has(step.step);
    const colour = `hsl(${hue(step.required_arm)} 55% 35%)`;
    return svg("g", { transform: `translate(${x} ${y})` },
      svg("rect", { width, height, rx: 10, fill: "#fff", stroke: isCritical ? CRITICAL : RULE, "stroke-width": isCritical ? 2 : 1 }),
      svg("rect", { width, height: 5, rx: 2.5, fill: colour }),
      text(12, 26, lines(`${step.step}  ${step.required_arm}`, letters, 1)[0], { "font-weight": 600, fill: colour }),
      ...lines(step.action, letters, 4).map((part, i) => text(12, 48 + 18 * i, part)),
      text(12, height - 10, `${time(step.estimated_duration_seconds)} · cost tier ${step.estimated_cost_tier} of 5`, { "font-size": 11, fill: MUTED }));
  };
  const image = svg("svg", {
    viewBox: `0 0 ${all.width} ${all.height}`, width: all.width, height: all.height,
    "font-family": "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif", role: "img",
  },
    svg("title", {}, visible(title)),
    svg("rect", { width: all.width, height: all.height, fill: "#f5f6fa" }),
    text(MARGIN, MARGIN + 14, lines(title, Math.floor((all.width - 2 * MARGIN) / 9), 1)[0] ?? "", { "font-size": 16, "font-weight": 600 }),
    text(MARGIN, MARGIN + 36, facts, { fill: MUTED }),
    svg("g", { transform: `translate(${MARGIN} ${MARGIN + HEAD})` }, ...drawn.direct.map(line), ...steps.map(node)));
  return new XMLSerializer().serializeToString(image) + "\n";
}
