// Where steps and the edges between them go. Knows numbers only.

/** Arrows end this short of a node. */
const SHORT = 3;

/** The dependencies of each step that no longer way implies, and those that one does, as `[from, to]`. */
export function edges(steps) {
  const before = new Map();
  const direct = [], implied = [];
  for (const { step, depends_on: needed } of steps) {
    const known = needed.filter((n) => before.has(n));
    const further = new Set(known.flatMap((n) => [...before.get(n)]));
    for (const n of known) (further.has(n) ? implied : direct).push([n, step]);
    before.set(step, new Set([...known, ...further]));
  }
  return { direct, implied };
}

/** The steps by level, as a plan's `schedule` has them: one more than the highest that a step depends on. */
export function levels(steps) {
  const level = new Map();
  for (const { step, depends_on: needed } of steps) {
    level.set(step, Math.max(-1, ...needed.map((n) => level.get(n) ?? -1)) + 1);
  }
  return level;
}

/** Levels from left to right. `size` has the width and height of a node, and the gaps between nodes. */
export function across(steps, size) {
  const { direct, implied } = edges(steps);
  const level = levels(steps);
  const columns = Array.from({ length: Math.max(...level.values()) + 1 }, () => []);
  const nodes = new Map();
  const add = (column, height) => {
    const item = { height, left: [], right: [], y: 0 };
    columns[column].push(item);
    return item;
  };
  for (const { step } of steps) nodes.set(step, add(level.get(step), size.height));
  const ways = direct.map(([from, to]) => {
    // An edge past other levels has a narrow place of its own in each.
    const way = [nodes.get(from)];
    for (let column = level.get(from) + 1; column < level.get(to); column++) way.push(add(column, size.lane));
    way.push(nodes.get(to));
    way.slice(1).forEach((item, i) => (way[i].right.push(item), item.left.push(way[i])));
    return way;
  });
  order(columns);
  place(columns, size.gapY);

  const x = (step) => level.get(step) * (size.width + size.gapX);
  const line = ([from, to], way) => {
    let d = `M${x(from) + size.width} ${way[0].y}`;
    way.slice(1).forEach((item, i) => {
      const isLast = i === way.length - 2;
      const left = x(from) + (i + 1) * (size.width + size.gapX) - (isLast ? SHORT : 0), bend = size.gapX / 2;
      d += `C${left - bend} ${way[i].y} ${left - bend} ${item.y} ${left} ${item.y}`;
      if (!isLast) d += `H${left + size.width}`;
    });
    return { from, to, d: d + tip(x(to) - SHORT, way.at(-1).y, -1, 0) };
  };
  const height = Math.max(...columns.flat().map((item) => item.y + item.height / 2));
  return {
    width: columns.length * (size.width + size.gapX) - size.gapX,
    height,
    nodes: new Map([...nodes].map(([step, item]) => [step, { x: x(step), y: item.y - size.height / 2 }])),
    direct: direct.map((edge, i) => line(edge, ways[i])),
    implied: implied.map(([from, to]) => arc(from, to, x(from) + size.width, nodes.get(from).y, x(to), nodes.get(to).y)),
  };
}

const arc = (from, to, x1, y1, x2, y2) => {
  const bend = Math.max(24, (x2 - x1) / 3);
  return { from, to, d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}${tip(x2, y2, -1, 0)}` };
};

/** The head of an arrow that ends at a point, seen from where it comes. */
const tip = (x, y, dx, dy) =>
  `M${x + 6 * dx - 4 * dy} ${y + 6 * dy - 4 * dx}L${x} ${y}L${x + 6 * dx + 4 * dy} ${y + 6 * dy + 4 * dx}`;

/** Orders each column by where the neighbours stand, left and right in turn, and keeps what crosses least. */
function order(columns) {
  let best = columns.map((column) => [...column]), fewest = crossings(columns);
  for (let round = 0; round < 16 && fewest > 0; round++) {
    const side = round % 2 ? "right" : "left";
    for (const column of round % 2 ? [...columns].reverse() : columns) {
      const mean = (item, i) => (item[side].length ? average(item[side].map((other) => other.index)) : i);
      column.map((item, i) => [mean(item, i), item]).sort(([a], [b]) => a - b).forEach(([, item], i) => {
        column[i] = item;
        item.index = i;
      });
    }
    const now = crossings(columns);
    if (now < fewest) [best, fewest] = [columns.map((column) => [...column]), now];
  }
  best.forEach((column, i) => (columns[i] = column));
}

function crossings(columns) {
  columns.forEach((column) => column.forEach((item, i) => (item.index = i)));
  let crossed = 0;
  for (const column of columns) {
    const ends = column.flatMap((item, i) => item.right.map((other) => [i, other.index]));
    for (let a = 0; a < ends.length; a++) {
      for (let b = 0; b < a; b++) crossed += (ends[a][0] - ends[b][0]) * (ends[a][1] - ends[b][1]) < 0;
    }
  }
  return crossed;
}

/** Gives each item the height at which its edges are straightest, without two of them touching. */
function place(columns, gap) {
  for (const column of columns) settle(column, column.map(() => 0), gap);
  for (let round = 0; round < 24; round++) {
    for (const column of round % 2 ? [...columns].reverse() : columns) {
      const wanted = column.map((item) => {
        const near = [...item.left, ...item.right];
        return near.length ? average(near.map((other) => other.y)) : item.y;
      });
      settle(column, wanted, gap);
    }
  }
  const top = Math.min(...columns.flat().map((item) => item.y - item.height / 2));
  for (const item of columns.flat()) item.y = Math.round(item.y - top);
}

/** The places nearest to those wanted (least squares) that keep order and distance: pools adjacent violators. */
function settle(column, wanted, gap) {
  let offset = 0;
  const offsets = column.map((item, i) => (offset += i ? (column[i - 1].height + item.height) / 2 + gap : 0));
  const pools = [];
  wanted.forEach((y, i) => {
    let pool = { mean: y - offsets[i], size: 1 };
    while (pools.length && pools.at(-1).mean >= pool.mean) {
      const { mean, size } = pools.pop();
      pool = { mean: (mean * size + pool.mean * pool.size) / (size + pool.size), size: size + pool.size };
    }
    pools.push(pool);
  });
  const means = pools.flatMap(({ mean, size }) => Array(size).fill(mean));
  column.forEach((item, i) => (item.y = means[i] + offsets[i]));
}

const average = (numbers) => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;

/** One step below the other, for narrow screens: edges to the next run straight, others in lanes on the left. */
export function down(steps, size) {
  const { direct, implied } = edges(steps);
  const row = new Map(steps.map(({ step }, i) => [step, i]));
  const taken = [];
  const lanes = direct.filter(([from, to]) => row.get(to) > row.get(from) + 1).map(([from, to]) => {
    // The first lane that is free from there on, or a new one; where no more fit, they share the last.
    let lane = taken.findIndex((end) => end <= row.get(from));
    if (lane < 0) lane = Math.min(taken.length, size.mostLanes - 1);
    taken[lane] = Math.max(taken[lane] ?? 0, row.get(to));
    return [`${from}-${to}`, lane];
  });
  const laneOf = new Map(lanes);
  const gutter = 14 + taken.length * size.laneGap;
  const top = (step) => row.get(step) * (size.height + size.gapY);
  const around = ([from, to], lane) => {
    const x = gutter - 14 - lane * size.laneGap, y1 = top(from) + size.height * 0.65, y2 = top(to) + size.height * 0.35;
    return `M${gutter} ${y1}H${x + 8}Q${x} ${y1} ${x} ${y1 + 8}V${y2 - 8}Q${x} ${y2} ${x + 8} ${y2}H${gutter - SHORT}${tip(gutter - SHORT, y2, -1, 0)}`;
  };
  const straight = ([from, to]) => {
    const x = gutter + 24;
    return `M${x} ${top(from) + size.height}V${top(to) - SHORT}${tip(x, top(to) - SHORT, 0, -1)}`;
  };
  const line = (edge, lane) => ({ from: edge[0], to: edge[1], d: lane == null ? straight(edge) : around(edge, lane) });
  return {
    width: size.available,
    height: steps.length * (size.height + size.gapY) - size.gapY,
    nodeWidth: size.available - gutter,
    nodes: new Map(steps.map(({ step }) => [step, { x: gutter, y: top(step) }])),
    direct: direct.map((edge) => line(edge, laneOf.get(edge.join("-")))),
    implied: implied.map((edge) => line(edge, taken.length ? taken.length - 1 : 0)),
  };
}
