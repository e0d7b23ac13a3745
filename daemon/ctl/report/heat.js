/*
 * The heat map of coverage: a canvas with a row for each device, or for several where there are more
 * devices than rows of pixels, and above them a row for all. Pointer or arrow keys tell of one cell.
 */
const HEAT_LABELS_MAX = 36; /* devices; more of them get no label */
const HEAT_ROW = 15;
const HEAT_HEIGHT = 400;
const HEAT_ALL = 20;
const HEAT_GAP = 8;
const HEAT_FOOT = 20;

const heat = { rows: [], bins: [], days: [], cursor: null, image: null };

/* The mean of some devices on one day; null where nothing was expected of any. */
function meanOf(devices, day) {
  let sum = 0;
  let count = 0;
  for (const device of devices) {
    const value = coverageOf(device, day);
    if (value !== null) {
      sum += value;
      count++;
    }
  }
  return count === 0 ? null : sum / count;
}

function layOutHeat() {
  const width = Math.max(240, byId("heat").clientWidth);
  const rows = view.rows.slice().sort((a, b) => (data.coverage[a] ?? 1000) - (data.coverage[b] ?? 1000) || a - b);
  const labelled = rows.length <= HEAT_LABELS_MAX;
  const count = labelled ? rows.length : Math.min(rows.length, HEAT_HEIGHT);
  heat.rows = rows;
  heat.bins = Array.from({ length: count }, (_, i) =>
    rows.slice(Math.floor(i * rows.length / count), Math.floor((i + 1) * rows.length / count)));
  heat.left = labelled ? Math.min(150, width * 0.3) : 64;
  heat.width = width;
  heat.step = (width - heat.left) / data.days.length;
  heat.row = labelled ? HEAT_ROW : HEAT_HEIGHT / count;
  heat.top = HEAT_ALL + HEAT_GAP;
  heat.height = heat.top + heat.row * count + HEAT_FOOT;
  heat.labelled = labelled;
  heat.days = data.days.map((_, day) => meanOf(rows, day));
}

function paintCell(context, colours, value, day, top, height) {
  const gap = heat.step > 6 ? 1 : 0;
  if (value === null) {
    return;
  }
  context.fillStyle = colours[Math.max(0, Math.min(100, Math.round(value)))];
  context.fillRect(heat.left + day * heat.step, top, heat.step - gap, height - (height >= 8 ? 1 : 0));
}

function paintLabels(context) {
  const family = getComputedStyle(document.body).fontFamily;
  const every = Math.ceil(56 / heat.step);
  context.fillStyle = colour("quiet");
  context.textBaseline = "middle";
  context.font = `600 12px ${family}`;
  context.fillText(heat.labelled ? "All of these" : "All", 0, HEAT_ALL / 2, heat.left - 8);
  context.font = `12px ${family}`;
  if (heat.labelled) {
    heat.bins.forEach(([device], i) => {
      let text = data.devices.id[device];
      while (text.length > 4 && context.measureText(text).width > heat.left - 10) {
        text = `${text.slice(0, -2)}…`;
      }
      context.fillText(text, 0, heat.top + (i + 0.5) * heat.row);
    });
  } else if (heat.bins.length > 0) {
    context.fillText("least", 0, heat.top + 7);
    context.fillText("covered", 0, heat.top + 21);
    context.fillText("most", 0, heat.height - HEAT_FOOT - 22);
    context.fillText("covered", 0, heat.height - HEAT_FOOT - 8);
  }
  for (let day = 0; day < data.days.length; day += every) {
    if (heat.left + day * heat.step + 40 <= heat.width) {
      context.fillText(shortDay(data.days_ms[day]), heat.left + day * heat.step, heat.height - HEAT_FOOT / 2 + 2);
    }
  }
}

function drawHeat() {
  const canvas = byId("heat-canvas");
  layOutHeat();
  const context = sharpen(canvas, heat.width, heat.height);
  const colours = coverageColours();
  for (let day = 0; day < data.days.length; day++) {
    paintCell(context, colours, heat.days[day], day, 0, HEAT_ALL);
    heat.bins.forEach((devices, i) => {
      paintCell(context, colours, meanOf(devices, day), day, heat.top + i * heat.row, heat.row);
    });
  }
  paintLabels(context);
  heat.image = make("canvas", { width: canvas.width, height: canvas.height });
  heat.image.getContext("2d").drawImage(canvas, 0, 0);
  heat.cursor = null;
  const known = heat.days.filter((value) => value !== null);
  const mean = known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
  canvas.setAttribute("aria-label", `Heat map of coverage: ${plural(heat.rows.length, "device", "devices")}, ${plural(data.days.length, "day", "days")}, ${percent(mean)} of the readings received. Arrow keys move from cell to cell, Enter opens the device.`);
  say("heat-say", "Point at a cell, or move with the arrow keys.");
  drawKey(colours);
  drawDays();
}

function drawKey(colours) {
  const item = (value) => {
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = colours[value];
    return make("span", {}, swatch, percent(value));
  };
  byId("heat-key").replaceChildren(...[100, 75, 50, 25, 0].map(item),
    make("span", {}, make("span", { class: "swatch outlined" }), "nothing expected"));
}

/* The same by day in words, for who cannot see the map. */
function drawDays() {
  const rows = data.days.map((day, i) => {
    const low = heat.rows.filter((device) => (coverageOf(device, i) ?? 100) < 50).length;
    return make("tr", {}, make("th", { scope: "row", text: day }), make("td", { class: "number", text: percent(heat.days[i]) }), make("td", { class: "number", text: whole(low) }));
  });
  byId("days").querySelector("table").replaceChildren(
    make("thead", {}, make("tr", {}, make("th", { scope: "col", text: `Day (${data.zone})` }),
      make("th", { scope: "col", class: "number", text: "Coverage" }), make("th", { scope: "col", class: "number", text: "Devices below 50\u202f%" }))),
    make("tbody", {}, ...rows));
}

/* Tells of a cell and frames it. Row -1 is the one of all devices. */
function pointAt(row, day) {
  const canvas = byId("heat-canvas");
  const context = canvas.getContext("2d");
  const devices = row < 0 ? heat.rows : heat.bins[row];
  const value = row < 0 ? heat.days[day] : meanOf(devices, day);
  const top = row < 0 ? 0 : heat.top + row * heat.row;
  heat.cursor = { row, day };
  context.clearRect(0, 0, heat.width, heat.height);
  context.drawImage(heat.image, 0, 0, heat.width, heat.height);
  context.strokeStyle = colour("ink");
  context.lineWidth = 1.5;
  context.strokeRect(heat.left + day * heat.step - 0.5, top - 0.5, heat.step, (row < 0 ? HEAT_ALL : Math.max(3, heat.row)));
  byId("heat-say").replaceChildren(
    make("b", { text: devices.length === 1 ? data.devices.id[devices[0]] : row < 0 ? `All ${whole(devices.length)} devices` : `${whole(devices.length)} devices from ${data.devices.id[devices[0]]}` }),
    `, ${data.days[day]}: ${value === null ? "nothing expected" : percent(value)}`);
}

function openCell() {
  const { row, day } = heat.cursor;
  if (row >= 0) {
    const worst = heat.bins[row].slice().sort((a, b) => (coverageOf(a, day) ?? 1000) - (coverageOf(b, day) ?? 1000))[0];
    location.hash = pathOf(worst);
  }
}

function cellAt(event) {
  const day = Math.floor((event.offsetX - heat.left) / heat.step);
  const row = event.offsetY < heat.top ? -1 : Math.floor((event.offsetY - heat.top) / heat.row);
  return day >= 0 && day < data.days.length && row < heat.bins.length ? { row, day } : null;
}

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function listenToHeat() {
  const canvas = byId("heat-canvas");
  canvas.addEventListener("pointermove", (event) => {
    const cell = cellAt(event);
    if (cell) {
      pointAt(cell.row, cell.day);
    }
  });
  canvas.addEventListener("click", (event) => {
    const cell = cellAt(event);
    if (cell) {
      pointAt(cell.row, cell.day);
      openCell();
    }
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && heat.cursor) {
      openCell();
    } else if (ARROWS[event.key] && data.days.length > 0) {
      const from = heat.cursor ?? { row: -1, day: 0 };
      const [down, right] = heat.cursor ? ARROWS[event.key] : [0, 0];
      event.preventDefault();
      pointAt(Math.max(-1, Math.min(heat.bins.length - 1, from.row + down)),
        Math.max(0, Math.min(data.days.length - 1, from.day + right)));
    }
  });
}
