// Questions whose answers would change the plan.

import { byId, element, isolated } from "./dom.js";

/** Shows `questions`, if there are any. */
export function show(questions = []) {
  byId("questions").hidden = questions.length === 0;
  byId("question-list").replaceChildren(...questions.map((question, i) => {
    const field = element("input", { id: `answer-${i}`, type: "text", maxlength: 1000, autocomplete: "off" });
    field.dataset.question = question;
    return element("div", { class: "field" }, element("label", { for: field.id }, isolated(question)), field);
  }));
}

/** What was answered, each question with its answer as one sentence for the planner. */
export const answers = () => [...byId("question-list").querySelectorAll("input")]
  .filter((field) => field.value.trim())
  .map((field) => `${field.dataset.question} ${field.value.trim()}`);
