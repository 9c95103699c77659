// The bearer token: asked for when the service wants one, and kept in memory only. No storage, cookie or address has it.

import { byId } from "./dom.js";
import { clearFaults, fault } from "./form.js";

let token = "", retry = null;
const dialog = byId("token-dialog");

export const current = () => token;

/** Asks for a token, then does `again` with it. */
export function askFor(again) {
  retry = again;
  byId("token-title").textContent = token ? "This token was not accepted" : "A token is needed";
  byId("token-why").textContent = token
    ? "It may be mistyped or expired. Try another one, or ask the operator of the planner arm."
    : "This service needs an access token. Ask its operator for one.";
  clearFaults("token");
  byId("token").value = "";
  dialog.showModal();
}

/** Wires the dialog; `say` shows a text to the user, `changed` is called when there is another token. */
export function wire(say, changed) {
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = byId("token").value.trim();
    // Nothing else can be in a token of the service, or in a header.
    if (!/^[\x21-\x7e]+$/.test(given)) {
      fault("token", given ? "A token has ASCII letters, digits and punctuation only, and no spaces." : "Enter the token.");
      return byId("token").focus();
    }
    token = given;
    byId("forget").hidden = false;
    dialog.close();
    changed();
    retry?.();
  });
  byId("token-cancel").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => (byId("token").value = ""));
  byId("forget").addEventListener("click", () => {
    token = "";
    byId("forget").hidden = true;
    say("The token was removed.");
    changed();
  });
}
