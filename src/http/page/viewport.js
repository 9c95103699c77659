// Zoom, fit and pan of a drawing in a region that scrolls.

import { byId } from "./dom.js";

const LEAST = 0.3, MOST = 2;
/** Smaller than this a drawing is not shown unasked: its words could not be read. */
const READABLE = 0.8;

export class Viewport {
  /** `canvas` is scaled within `region`; `tools` are the buttons. */
  constructor(region, canvas, tools) {
    Object.assign(this, { region, canvas, tools, scale: 1, width: 0, height: 0, chosen: false });
    this.sizer = document.createElement("div");
    this.sizer.className = "sizer";
    this.sizer.append(canvas);
    region.append(this.sizer);
    tools.addEventListener("click", ({ target }) => this.press(target.closest("button")?.dataset.zoom));
    region.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const action = { "+": "in", "=": "in", "-": "out", 0: "fit", 1: "full" }[event.key];
      if (action) this.press(action);
    });
    region.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoom(this.scale * Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
    }, { passive: false });
    this.drag();
    // Paper has another width than the screen.
    addEventListener("beforeprint", () => this.draw(Math.min(1, 700 / this.width)));
    addEventListener("afterprint", () => this.draw(this.scale));
  }

  /** Pixels between the paddings. */
  room() {
    return this.region.clientWidth - 32;
  }

  /** The drawing has another size. What somebody chose stays; otherwise all columns are shown where they can be read. */
  resize(width, height) {
    Object.assign(this, { width, height });
    if (!this.chosen) this.scale = Math.min(1, Math.max(READABLE, this.room() / width));
    this.draw(this.scale);
  }

  press(action) {
    if (action === "in") this.zoom(this.scale * 1.2);
    if (action === "out") this.zoom(this.scale / 1.2);
    if (action === "full") this.zoom(1);
    if (action === "fit") {
      const tall = Math.max(320, innerHeight - 220);
      this.zoom(Math.min(1, this.room() / this.width, tall / this.height));
    }
  }

  /** Zooms to `scale`; what is at a point of the window stays there, by default what is in the middle. */
  zoom(scale, clientX, clientY) {
    const box = this.region.getBoundingClientRect();
    const x = (clientX ?? box.left + box.width / 2) - box.left, y = (clientY ?? box.top + box.height / 2) - box.top;
    const before = this.scale;
    this.scale = Math.min(MOST, Math.max(LEAST, scale));
    this.chosen = true;
    const left = ((this.region.scrollLeft + x) * this.scale) / before - x, top = ((this.region.scrollTop + y) * this.scale) / before - y;
    this.draw(this.scale);
    this.region.scrollTo(left, top);
  }

  draw(scale) {
    Object.assign(this.sizer.style, { width: `${this.width * scale}px`, height: `${this.height * scale}px` });
    Object.assign(this.canvas.style, { width: `${this.width}px`, height: `${this.height}px`, transform: `scale(${scale})` });
    byId("zoom-level").textContent = `${Math.round(scale * 100)}%`;
    this.region.classList.toggle("wide", this.width * scale > this.room() + 1);
  }

  /** A mouse that is pressed on the ground moves the drawing; fingers scroll by themselves. */
  drag() {
    let from = null;
    this.region.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button !== 0 || event.target.closest("button")) return;
      from = { x: event.clientX + this.region.scrollLeft, y: event.clientY + this.region.scrollTop };
      this.region.setPointerCapture(event.pointerId);
      this.region.classList.add("dragging");
    });
    this.region.addEventListener("pointermove", (event) => {
      if (from) this.region.scrollTo(from.x - event.clientX, from.y - event.clientY);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.region.addEventListener(end, () => {
        from = null;
        this.region.classList.remove("dragging");
      });
    }
  }
}
