// The plan that is worked on: what was asked for, and each version of what came of it.

import { keep, remove } from "./history.js";

/** More versions than this are not kept. */
const MOST = 12;

/** A version is `{label, from, plan, notes, marks}`: `from` is the place of the version that it replaces, or -1. */
export class Session {
  constructor(request, { id = crypto.getRandomValues(new Uint32Array(2)).join("-"), at = Date.now(), versions = [], shown = versions.length - 1 } = {}) {
    Object.assign(this, { id, at, request, versions, shown });
  }

  /** The version that is shown, if there is one yet. */
  get version() {
    return this.versions[this.shown];
  }

  /** The version that the one shown replaces. */
  get before() {
    return this.versions[this.version?.from ?? -1];
  }

  /** Shows a new version, which replaces the one shown so far. */
  add(label, plan, notes, marks = {}) {
    const from = this.shown;
    this.versions.push({ label, from, plan, notes, marks });
    if (this.versions.length > MOST) {
      this.versions.shift();
      for (const version of this.versions) version.from = Math.max(-1, version.from - 1);
    }
    this.shown = this.versions.length - 1;
    this.keep();
  }

  /** Takes the newest version back: it could not be shown. */
  undo() {
    const { from } = this.versions.pop();
    this.shown = from;
    if (this.versions.length) this.keep();
    else remove(this.id);
  }

  show(place) {
    this.shown = place;
    this.keep();
  }

  /** Keeps all of it in the browser, where that is possible. */
  keep() {
    const { id, at, request, versions, shown } = this;
    keep({ id, at, request, versions, shown });
  }
}
