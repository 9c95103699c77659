// The drawer: one step with all that is known of it, and what can be done with it.

import { button, byId, element } from "./dom.js";
import { controls } from "./progress.js";
import { inWords, neighbours } from "./steps.js";

const dialog = byId("detail");

/** The drawer over what `host` knows: `steps()`, `version()`, `hue(arm)`, `focus(number)`, `edit(number)` and `mark(number, mark)`. */
export class Detail {
  constructor(host) {
    this.host = host;
    byId("detail-before").addEventListener("click", () => this.turn(-1));
    byId("detail-after").addEventListener("click", () => this.turn(1));
    byId("detail-close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("keydown", ({ key, target, altKey, ctrlKey, metaKey, shiftKey }) => {
      if (altKey || ctrlKey || metaKey || shiftKey || target.matches("textarea, input, select")) return;
      if (key === "ArrowLeft") this.turn(-1);
      if (key === "ArrowRight") this.turn(1);
    });
    // A click outside closes it; its own box is filled by its children.
    dialog.addEventListener("click", (event) => {
      const box = dialog.getBoundingClientRect();
      const outside = event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
      if (event.target === dialog && outside) dialog.close();
    });
    dialog.addEventListener("close", () => host.focus(this.number));
  }

  get isOpen() {
    return dialog.open;
  }

  close() {
    dialog.close();
  }

  /** Shows step `number`; what was shown before may be void by now. */
  open(number) {
    const steps = this.host.steps(), version = this.host.version();
    const step = steps.find((one) => one.step === number);
    if (!step) return dialog.close();
    this.number = number;
    const place = steps.indexOf(step);
    byId("detail-place").textContent = `${place + 1} of ${steps.length}${version ? "" : ", preview"}`;
    const more = neighbours(step, steps, (other) => this.open(other));
    if (version) {
      more.push(controls(number, version, (mark) => this.host.mark(number, mark)));
      if (version.marks[number]?.status !== "done") {
        more.push(element("div", { class: "actions" }, button("Edit this step", () => this.host.edit(number))));
      }
    }
    byId("detail-body").replaceChildren(...inWords(step, version, "h2", more));
    byId("detail-body").scrollTop = 0;
    dialog.style.setProperty("--hue", this.host.hue(step.required_arm));
    byId("detail-turn").hidden = false;
    byId("detail-before").disabled = place === 0;
    byId("detail-after").disabled = place === steps.length - 1;
    if (!dialog.open) dialog.showModal();
  }

  turn(by) {
    const steps = this.host.steps();
    if (byId("detail-turn").hidden) return;
    const next = steps[steps.findIndex(({ step }) => step === this.number) + by];
    if (next) this.open(next.step);
  }
}
