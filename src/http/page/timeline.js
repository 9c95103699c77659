// The plan in time: one row a step, one bar for when it runs if each step begins as soon as it can.

import { element, isolated } from "./dom.js";
import { mark } from "./graph.js";
import { times } from "./layout.js";
import { time } from "./words.js";

/** Distances between marks of the axis, in seconds: those that people count in. */
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000];

/** Draws `steps` in `place`; `open` is called with the number of a step that is chosen. */
export function draw(place, steps, { critical = [], marks = {}, hue, open }) {
  const at = times(steps);
  const end = Math.max(1, ...[...at.values()].map((span) => span.end));
  const tick = TICKS.find((size) => end / size <= 8) ?? Math.ceil(end / 8);
  const share = (seconds) => `${(100 * seconds) / end}%`;
  const ticks = Array.from({ length: Math.floor(end / tick) + 1 }, (_, i) => {
    const line = element("span", { class: "tick" }, element("span", {}, i ? time(i * tick) : "0"));
    line.style.left = share(i * tick);
    return line;
  });
  const rows = steps.map((step) => {
    const { start, end: stop } = at.get(step.step);
    const isCritical = critical.includes(step.step), status = marks[step.step]?.status;
    const bar = element("button", { type: "button", class: `bar${isCritical ? " critical" : ""}${status ? ` ${status}` : ""}`,
      "aria-label": `Step ${step.step}, ${step.required_arm}: from ${time(start)} to ${time(stop)}${isCritical ? ", on the critical path" : ""}` });
    bar.style.left = share(start);
    bar.style.width = share(stop - start);
    bar.addEventListener("click", () => open(step.step));
    const length = element("span", { class: "bar-time" }, time(stop - start));
    // Beside the bar, on the side where there is room.
    if ((start + stop) / 2 > end / 2) {
      length.classList.add("before");
      length.style.right = `calc(${share(end - start)} + .375rem)`;
    } else {
      length.style.left = `calc(${share(stop)} + .375rem)`;
    }
    const item = element("li", {},
      element("p", { class: "row-name" },
        element("span", { class: "number" }, element("span", { class: "unseen" }, "Step "), String(step.step)),
        isolated(step.action, "span", { class: "row-action", title: step.action }),
        status ? mark(status) : null),
      element("div", { class: "track" }, bar, length));
    item.style.setProperty("--hue", hue(step.required_arm));
    return item;
  });
  place.replaceChildren(
    element("div", { class: "axis", "aria-hidden": "true" }, ...ticks),
    element("ol", { class: "rows", role: "list" }, ...rows),
    element("p", { class: "timeline-key" }, element("span", { class: "key-bar" }), "on the critical path: a delay here delays the whole plan"));
}
