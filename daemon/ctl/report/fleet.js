/* The fleet: a table that is searched, filtered and sorted, a page at a time. */
const PAGE_ROWS = 50;
const PAGE_ROWS_NARROW = 20;
const STRIP_WIDTH = 120;
const STRIP_WIDTH_NARROW = 72;
const STRIP_HEIGHT = 12;

/* What the table shows now; kept when a live page loads new data. */
const view = { search: "", filter: "all", group: "", sort: "name", down: false, page: 0, rows: [] };

/* Numbers by their value; what is a number only in part, such as hexadecimal, letter by letter. */
const alphabetically = new Intl.Collator("en").compare;

function naturally(left, right) {
  return /^\d+$/.test(left) && /^\d+$/.test(right) ? left.length - right.length || alphabetically(left, right) : alphabetically(left, right);
}

/* As many rows as a page of the table has. */
function pageRows() {
  return window.innerWidth < 640 ? PAGE_ROWS_NARROW : PAGE_ROWS;
}

const COLUMNS = [
  { key: "name", title: "Device", of: (i) => data.devices.id[i] },
  { key: "groups", title: "Groups", of: groupsOf, class: "optional groups" },
  { key: "level", title: "Battery", of: (i) => data.devices.level[i] },
  { key: "left", title: "Empty in", of: (i) => data.devices.left[i], class: "number left" },
  { key: "warmth", title: "Temperature", of: (i) => data.devices.celsius[i], class: "number warmth" },
  { key: "seen", title: "Last seen", of: (i) => data.devices.seen[i], class: "number seen" },
  { key: "cover", title: "Coverage", of: (i) => data.coverage[i], class: "cover" },
];

const FILTERS = {
  all: { title: "All devices", has: () => true },
  any: { title: "All that need attention", has: (i) => Object.values(ATTENTION).some((kind) => kind.has(i)) },
  empty: { title: `Empty within ${SOON_DAYS} days`, has: ATTENTION.empty.has, sort: ["left", false] },
  silent: { title: "Newly silent", has: ATTENTION.silent.has, sort: ["seen", false] },
  long: { title: "Silent, all", has: (i) => data.silent[i] === 1, sort: ["seen", false] },
  excursion: { title: "Temperature excursions", has: ATTENTION.excursion.has, sort: ["warmth", true] },
  drop: { title: "Coverage drops", has: ATTENTION.drop.has, sort: ["cover", false] },
};

/* Sorts by a column; what has no value comes last, whatever the direction. */
function sorted(rows) {
  const of = COLUMNS.find((column) => column.key === view.sort).of;
  const sign = view.down ? -1 : 1;
  const compare = (a, b) => {
    const left = of(a) ?? null;
    const right = of(b) ?? null;
    if (left === null || right === null || left === "" || right === "") {
      const missing = (value) => (value === null || value === "" ? 1 : 0);
      return missing(left) - missing(right) || a - b;
    }
    const order = typeof left === "string" ? naturally(left, right) : left - right;
    return sign * order || a - b;
  };
  return rows.sort(compare);
}

function choose() {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  const has = FILTERS[view.filter].has;
  const group = view.group === "" ? null : data.groups.indexOf(view.group);
  view.rows = sorted(everyDevice().filter((i) => (group === null || data.devices.groups[i].includes(group)) && has(i) &&
    words.every((word) => data.ids[i].includes(word) || groupsOf(i).toLowerCase().includes(word))));
  view.page = Math.min(view.page, Math.max(0, Math.ceil(view.rows.length / pageRows()) - 1));
}

/* The colour of a coverage: the paper where all came, the accent where nothing did. */
function coverageColours() {
  const parse = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  const full = parse(colour("full"));
  const accent = parse(colour("accent"));
  return Array.from({ length: 101 }, (_, value) => {
    const part = Math.min(1, (100 - value) / 100) ** 0.8;
    return `rgb(${full.map((from, i) => Math.round(from + (accent[i] - from) * part)).join(" ")})`;
  });
}

/* Makes a canvas sharp: its pixels are those of the screen. Returns its context, in CSS pixels. */
function sharpen(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return context;
}

function strip(device, colours) {
  const canvas = make("canvas", { "aria-hidden": "true" });
  const width = window.innerWidth < 960 ? STRIP_WIDTH_NARROW : STRIP_WIDTH;
  const context = sharpen(canvas, width, STRIP_HEIGHT);
  const step = width / data.days.length;
  for (let day = 0; day < data.days.length; day++) {
    const value = coverageOf(device, day);
    if (value !== null) {
      context.fillStyle = colours[Math.min(100, Math.round(value))];
      context.fillRect(day * step, 0, Math.max(step - (step > 3 ? 1 : 0), 0.5), STRIP_HEIGHT);
    }
  }
  return canvas;
}

function meter(level) {
  if (level === null) {
    return make("span", { class: "nothing", text: "–" });
  }
  const fill = make("span");
  fill.style.width = `${Math.max(0, Math.min(100, level))}%`;
  return make("span", {}, make("span", { class: level < data.low_pct ? "meter low" : "meter", "aria-hidden": "true" }, fill), percent(level));
}

function tableRow(i, colours) {
  const { level, left, celsius: warmth, seen } = data.devices;
  const soon = ATTENTION.empty.has(i);
  return make("tr", {},
    make("td", { class: "name" }, deviceLink(i)),
    make("td", { class: "optional groups" }, make("bdi", { text: groupsOf(i), title: groupsOf(i) })),
    make("td", { class: "charge" }, meter(level[i])),
    make("td", { class: `number left${soon ? " late" : ""}${left[i] === null ? " unknown" : ""}`, text: daysLeft(left[i]) }),
    make("td", { class: data.hot[i] === 2 ? "number warmth late" : "number warmth", text: celsius(warmth[i]) }),
    make("td", { class: data.silent[i] ? "number seen late" : "number seen", text: seen[i] === null ? "never" : `${duration(seen[i])} ago` }),
    make("td", { class: "cover" }, strip(i, colours), ` ${percent(data.coverage[i])}`));
}

function drawRows() {
  const colours = coverageColours();
  const pages = Math.max(1, Math.ceil(view.rows.length / pageRows()));
  const from = view.page * pageRows();
  const rows = view.rows.slice(from, from + pageRows());
  const go = (page) => () => {
    view.page = page;
    drawRows();
    byId("fleet-title").scrollIntoView({ block: "start" });
  };
  byId("fleet").tBodies[0].replaceChildren(...rows.map((i) => tableRow(i, colours)));
  say("found", view.rows.length === 0 ? "No device matches."
    : pages === 1 ? plural(view.rows.length, "device", "devices")
      : `Devices ${whole(from + 1)} to ${whole(from + rows.length)} of ${whole(view.rows.length)}`);
  byId("pager").hidden = pages === 1;
  byId("pager").replaceChildren(
    make("button", { type: "button", text: "Previous", disabled: view.page === 0 ? "" : null, click: go(view.page - 1) }),
    make("span", { class: "quiet", text: `Page ${whole(view.page + 1)} of ${whole(pages)}` }),
    make("button", { type: "button", text: "Next", disabled: view.page === pages - 1 ? "" : null, click: go(view.page + 1) }));
}

function drawHead() {
  const heads = COLUMNS.map((column) => make("th", {
    scope: "col", class: column.class ?? null,
    "aria-sort": column.key !== view.sort ? null : view.down ? "descending" : "ascending",
  }, make("button", { type: "button", text: column.title, "data-sort": column.key, click: () => sortBy(column.key) })));
  const focused = document.activeElement?.dataset?.sort;
  byId("fleet").tHead.rows[0].replaceChildren(...heads);
  if (focused) {
    heads[COLUMNS.findIndex((column) => column.key === focused)].firstChild.focus();
  }
  byId("sort").value = `${view.sort} ${view.down ? "down" : "up"}`;
}

function sortBy(key, down) {
  view.down = down ?? (view.sort === key ? !view.down : false);
  view.sort = key;
  view.page = 0;
  drawFleet();
}

function drawFleet() {
  choose();
  drawHead();
  drawRows();
  drawHeat();
}

/* Shows the devices of one kind, from a card. */
function showOnly(filter) {
  view.filter = filter;
  view.search = "";
  view.group = "";
  view.page = 0;
  [view.sort, view.down] = FILTERS[filter].sort ?? ["name", false];
  showTools();
  drawFleet();
  byId("fleet-title").scrollIntoView({ block: "start" });
  byId("search").focus({ preventScroll: true });
}

function showTools() {
  byId("search").value = view.search;
  byId("filter").value = view.filter;
  byId("group").value = view.group;
}

function fillTools() {
  const names = [...data.groups].sort(naturally);
  byId("filter").replaceChildren(...Object.entries(FILTERS).map(([key, filter]) => make("option", { value: key, text: filter.title })));
  byId("group").replaceChildren(make("option", { value: "", text: "All groups" }), ...names.map((name) => make("option", { value: name, text: name })));
  byId("group-label").hidden = names.length === 0;
  byId("sort").replaceChildren(...COLUMNS.flatMap((column) => ["up", "down"].map((way) => make("option", {
    value: `${column.key} ${way}`, text: `${column.title} ${way === "up" ? "↑" : "↓"}`,
  }))));
  showTools();
}

function listenToTools() {
  const changed = (key) => (event) => {
    view[key] = event.target.value;
    view.page = 0;
    if (key === "filter" && FILTERS[view.filter].sort) {
      [view.sort, view.down] = FILTERS[view.filter].sort;
    }
    drawFleet();
  };
  byId("search").addEventListener("input", changed("search"));
  byId("filter").addEventListener("change", changed("filter"));
  byId("group").addEventListener("change", changed("group"));
  byId("sort").addEventListener("change", (event) => {
    const [key, way] = event.target.value.split(" ");
    sortBy(key, way === "down");
  });
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
}
