// Elements out of texts. Nothing on this page is ever read as HTML.

import { visible } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** An element with `attributes` and `children`, which are elements or texts. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same of SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** A button that does `act` when it is pressed. */
export function button(text, act, attributes = {}) {
  const node = element("button", { type: "button", ...attributes }, text);
  node.addEventListener("click", act);
  return node;
}

/** A text of an LLM or a caller, isolated: its direction is its own, and ends with it. */
export const isolated = (text, name = "bdi", attributes = {}) => element(name, { dir: "auto", ...attributes }, visible(text));

/** Whether movement is welcome. */
export const moves = () => !matchMedia("(prefers-reduced-motion: reduce)").matches;
