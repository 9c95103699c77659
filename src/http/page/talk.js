// Talking to the planner arm: one question, and what comes back as events.

/** What is asked for beside the plan. Relative, so that the page works behind a path prefix. */
export const PLAN = "plan?include=schedule,usage,repairs,id";

/** Why there is no plan, in sentences for people. */
export class Trouble extends Error {
  constructor(title, sentence, { advice = "", code = "", faults = [], id = "" } = {}) {
    super(sentence);
    Object.assign(this, { title, advice, code, faults, id });
  }
}

/**
 * Asks for a plan with `body`, which is JSON, and yields what comes: `{step}` for each step that is written, then
 * `{plan, notes}`. Notes are what stands in the `X-Planner-…` headers otherwise. Throws `Trouble`, or an `AbortError`
 * when `signal` says so.
 */
export async function* ask({ body, anew }, token, signal) {
  const id = newId();
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream", "X-Request-ID": id };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (anew) headers["Cache-Control"] = "no-cache";
  let response;
  try {
    response = await fetch(PLAN, { method: "POST", headers, body, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Trouble("No connection", "The planner arm could not be reached.", {
      advice: "See whether it is running and whether this device is online, then plan again.", id,
    });
  }
  if (!response.ok) throw await refusal(response, id);
  const type = response.headers.get("Content-Type") ?? "";
  // Something on the way may answer all that it is asked, such as with a page to sign in.
  if (type.startsWith("application/json")) {
    const notes = Object.fromEntries([...response.headers].filter(([name]) => name.startsWith("x-planner-")));
    const plan = await response.json().catch(() => null);
    if (!Array.isArray(plan?.plan)) throw unexpected("was no plan", id);
    yield { plan, notes };
    return;
  }
  if (!type.startsWith("text/event-stream")) throw unexpected("was no plan", id);
  yield* events(response, id, signal);
}

async function* events(response, id, signal) {
  const notes = {};
  try {
    for await (const { name, data, comments } of read(response.body)) {
      for (const comment of comments) {
        const [, header, value] = /^ ?(x-planner-[a-z-]+): ?(.*)$/.exec(comment) ?? [];
        if (header) notes[header] = value;
      }
      if (name === "step") yield { step: JSON.parse(data) };
      if (name === "plan") return yield { plan: JSON.parse(data), notes };
      if (name === "error") throw trouble(JSON.parse(data), id);
    }
  } catch (error) {
    if (error instanceof Trouble || signal.aborted) throw error;
  }
  throw new Trouble("The connection was cut", "The connection ended before the plan was complete.", {
    advice: "What is shown is a preview and no plan; plan again.", id,
  });
}

/** Server-sent events (WHATWG HTML, section 9.2.6), with the comments before each, which `EventSource` hides. */
export async function* read(body) {
  let rest = "", name = "", data = [], comments = [];
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    // A CR at the end may be the first half of a line's end.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length || comments.length) yield { name, data: data.join("\n"), comments };
        [name, data, comments] = ["", [], []];
      } else if (line.startsWith(":")) {
        comments.push(line.slice(1));
      } else {
        const [, field, text] = /^([^:]*):? ?(.*)$/s.exec(line);
        if (field === "event") name = text;
        if (field === "data") data.push(text);
      }
    }
  }
}

/** What a status that is no 200 says: a problem document, unless something on the way answered. */
async function refusal(response, id) {
  const document = await response.json().catch(() => null);
  if (document?.code && document.detail) return trouble(document, id);
  return unexpected(`was status ${response.status}, without an explanation`, id, response.status === 401 ? "unauthorized" : "");
}

const unexpected = (what, id, code = "") => new Trouble("An unexpected answer", `The answer ${what}.`, {
  advice: "Something between this page and the planner arm may have failed; plan again, or tell whoever runs it.", code, id,
});

/** What to do about a problem, where its own sentence does not say it. */
const ADVICE = {
  invalid_request: "Change what is marked, then plan again.",
  payload_too_large: "Shorten the context, then plan again.",
  rate_limited: "Your limit of plans a minute is used up for now.",
  llm_failed: "Planning again will not help until that is mended.",
  plan_invalid: "Plan again, or say the goal more precisely.",
  internal_error: "Plan again; if it happens again, report it with the request id.",
  llm_unavailable: "The language model is busy or down.",
  deadline_exceeded: "Plan again, or make the goal smaller.",
};

function trouble(problem, id) {
  const wait = problem.retry_after_seconds;
  const advice = [ADVICE[problem.code], wait && `Try again in ${wait} ${wait === 1 ? "second" : "seconds"}.`];
  return new Trouble(problem.title ?? "No plan", problem.detail, {
    advice: advice.filter(Boolean).join(" "),
    code: problem.code,
    faults: problem.errors ?? [],
    id: problem.request_id ?? id,
  });
}

/** `crypto.randomUUID` is there on secure origins alone. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** The version and the configured model, or null where that is not said, or not soon. */
export async function health() {
  try {
    const response = await fetch("health", { signal: AbortSignal.timeout(3000) });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
