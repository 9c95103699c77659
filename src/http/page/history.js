// The plans that were made in this browser, in its local storage and nowhere else. The only module that stores anything.

/** Services behind other paths of the same origin have lists of their own. */
const KEY = `planner-arm:plans:${location.pathname}`;
const MOST = 40;

/** The plans, newest first: `{id, at, request, versions, shown}`. */
export function entries() {
  try {
    const list = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(list) ? list.filter((entry) => entry?.id && entry.request?.goal && entry.versions?.length) : [];
  } catch {
    return [];
  }
}

/** Keeps `entry` in the place of an earlier one with its id. Whether it could: a browser may forbid it. */
export function keep(entry) {
  let list = [entry, ...entries().filter(({ id }) => id !== entry.id)].slice(0, MOST);
  while (list.length) {
    if (store(list)) return true;
    // No room: the oldest go first.
    list = list.slice(0, Math.floor(list.length / 2));
  }
  return false;
}

export const remove = (id) => store(entries().filter((entry) => entry.id !== id));

export function clear() {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Nothing could be stored either.
  }
}

function store(list) {
  try {
    localStorage.setItem(KEY, JSON.stringify(list));
    return true;
  } catch {
    return false;
  }
}
