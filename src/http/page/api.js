// Calls of the API of the planner arm; a plan arrives as events.

/** The extras that are requested with the plan. Relative, so that the page works behind a path prefix. */
const INCLUDE = "include=schedule,usage,repairs,id,warnings,questions";
export const PLAN = `plan?${INCLUDE}`;
export const REPLAN = `replan?${INCLUDE}`;

/** Why there is no plan, in sentences for people. */
export class PlannerError extends Error {
  constructor(title, sentence, { advice = "", code = "", faults = [], id = "" } = {}) {
    super(sentence);
    Object.assign(this, { title, advice, code, faults, id });
  }
}

/**
 * Posts `body`, which is JSON, to `PLAN` or `REPLAN` and yields what comes: `{step}` for each step that is written, then
 * `{plan, notes}`. Notes are the values of the `X-Planner-…` headers. Throws `PlannerError`, or an `AbortError`
 * when `signal` says so.
 */
export async function* ask(path, body, { fresh, token, signal }) {
  const id = newId();
  const headers = { Accept: "text/event-stream" };
  if (fresh) headers["Cache-Control"] = "no-cache";
  const response = await post(path, body, { headers, token, signal, id });
  const type = response.headers.get("Content-Type") ?? "";
  // Something on the way may answer all that it is asked, such as with a page to sign in.
  if (type.startsWith("application/json")) {
    const notes = Object.fromEntries([...response.headers].filter(([name]) => name.startsWith("x-planner-")));
    yield { plan: await planIn(response, id), notes };
    return;
  }
  if (!type.startsWith("text/event-stream")) throw unexpected("was not a plan", id);
  yield* events(response, id, signal);
}

/**
 * The valid plan in `body`, JSON of a plan and the request that it is for, with its schedule, repairs and warnings; throws
 * `PlannerError` with everything wrong.
 */
export async function validate(body, token) {
  const id = newId();
  return planIn(await post("validate", body, { token, id }), id);
}

async function post(path, body, { headers = {}, token, signal, id }) {
  const all = { "Content-Type": "application/json", "X-Request-ID": id, ...headers, ...authorization(token) };
  let response;
  try {
    response = await fetch(path, { method: "POST", headers: all, body, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new PlannerError("No connection", "The planner arm could not be reached.", {
      advice: "Check that it is running and that this device is online, then retry.", id,
    });
  }
  if (!response.ok) throw await refusal(response, id);
  return response;
}

async function planIn(response, id) {
  const plan = await response.json().catch(() => null);
  if (!Array.isArray(plan?.plan)) throw unexpected("was not a plan", id);
  return plan;
}

const authorization = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

/** What `GET` of `path` says, or null where there is nothing, or not soon. */
export async function get(path, token) {
  try {
    const response = await fetch(path, { headers: authorization(token), signal: AbortSignal.timeout(5000) });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
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
      if (name === "error") throw errorFrom(JSON.parse(data), id);
    }
  } catch (error) {
    if (error instanceof PlannerError || signal.aborted) throw error;
  }
  throw new PlannerError("The connection was cut", "The connection ended before the plan was complete.", {
    advice: "What is shown is incomplete; retry.", id,
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

/** What a status other than 200 says: a problem document, unless something on the way answered. */
async function refusal(response, id) {
  const document = await response.json().catch(() => null);
  if (document?.code && document.detail) return errorFrom(document, id);
  return unexpected(`had status ${response.status} and no explanation`, id, response.status === 401 ? "unauthorized" : "");
}

const unexpected = (what, id, code = "") => new PlannerError("Unexpected response", `The answer ${what}.`, {
  advice: "Something between this page and the planner arm may have failed. Retry, or tell the operator.", code, id,
});

/** What to do about a problem, where its own sentence does not say it. */
const ADVICE = {
  invalid_request: "Correct the marked fields.",
  payload_too_large: "Shorten the context.",
  rate_limited: "You have used up your limit of plans per minute for now.",
  llm_failed: "Retry once this is fixed.",
  plan_invalid: "Retry, or make the goal more precise.",
  internal_error: "Retry. If it happens again, report it with the request id.",
  llm_unavailable: "The language model is busy or down.",
  budget_exhausted: "This service has used up its budget for language model calls for now.",
  deadline_exceeded: "Retry, or make the goal smaller.",
};

function errorFrom(problem, id) {
  const wait = problem.retry_after_seconds;
  const advice = [ADVICE[problem.code], wait && `Retry in ${wait} ${wait === 1 ? "second" : "seconds"}.`];
  return new PlannerError(problem.title ?? "No plan was made", problem.detail, {
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
