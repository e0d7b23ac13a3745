/* The page of one device: what it is, its battery with a forecast, its temperature, and its gaps. */
const CAUSES = {
  device: { text: "the device sent nothing", colour: "accent", slope: 1 },
  daemon: { text: "foxtrackrd did not run", colour: "daemon", slope: 0 },
  broker: { text: "the broker lost its queue", colour: "broker", slope: -1 },
};
const TYPES = ["battery", "temperature"];
const GAPS_SHOWN = 40;
const CHARTS = []; /* those on the page now */
const STEPS_MS = [1, 3, 6, 12].map((hours) => hours * 3600000).concat([1, 2, 5, 7, 14, 30, 60].map((days) => days * DAY_MS));

/* The readout below a chart is its legend. The library's own measures itself with a style attribute, which the
 * page's policy refuses. */
Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);

/* The gaps of a device: {type, from, to, open, cause}, in milliseconds, the newest first. */
function gapsOf(device) {
  const found = [];
  for (let at = 0; at < data.gaps.length; at += GAP_DIGITS) {
    if (numberAt(data.gaps, at, 4) === device) {
      const from = data.since_ms + (numberAt(data.gaps, at + 4, 4) - MINUTES_ZERO) * 60000;
      const kind = numberAt(data.gaps, at + 12, 1);
      const open = (kind & 2) !== 0;
      const to = open ? data.until_ms : from + numberAt(data.gaps, at + 8, 4) * 60000;
      found.push({ type: TYPES[kind & 1], open, cause: data.causes[kind >> 2], from, to });
    }
  }
  return found.sort((a, b) => b.from - a.from);
}

/* Shades gaps behind a chart, each cause with a hatching of its own: colour is not all that tells them apart. */
function shade(context, area, chart, gaps) {
  context.save();
  context.beginPath();
  context.rect(area.x, area.y, area.w, area.h);
  context.clip();
  for (const gap of gaps) {
    const about = CAUSES[gap.cause] ?? CAUSES.device;
    const left = chart.toDomXCoord(gap.from);
    const width = Math.max(1.5, chart.toDomXCoord(gap.to) - left);
    hatch(context, { left, top: area.y, width, height: area.h }, about);
  }
  context.restore();
}

function hatch(context, box, about) {
  context.save();
  context.beginPath();
  context.rect(box.left, box.top, box.width, box.height);
  context.clip();
  context.fillStyle = colour(about.colour);
  context.strokeStyle = colour(about.colour);
  context.globalAlpha = 0.14;
  context.fillRect(box.left, box.top, box.width, box.height);
  context.globalAlpha = 0.45;
  context.lineWidth = 1;
  context.beginPath();
  const reach = about.slope === 0 ? 0 : box.height;
  for (let x = -reach; x < box.width + reach; x += 7) {
    context.moveTo(box.left + x, about.slope < 0 ? box.top : box.top + box.height);
    context.lineTo(box.left + x + reach, about.slope < 0 ? box.top + box.height : box.top);
  }
  context.stroke();
  context.restore();
}

function limitLine(context, area, chart, limit) {
  const y = Math.round(chart.toDomYCoord(limit)) + 0.5;
  context.save();
  context.beginPath();
  context.rect(area.x, area.y, area.w, area.h);
  context.clip();
  context.strokeStyle = colour("accent");
  context.setLineDash([2, 3]);
  context.beginPath();
  context.moveTo(area.x, y);
  context.lineTo(area.x + area.w, y);
  context.stroke();
  context.restore();
}

/* The limits of temperature that are for a device, as the view temperature_excursions applies them: {min: [], max: []}. */
function limitsOf(device) {
  const { group, device: of, min, max } = data.limits;
  const rows = Array.from(group.keys()).filter((i) => (of[i] === null || of[i] === data.devices.id[device]) &&
    (group[i] === null || data.devices.groups[device].some((one) => data.groups[one] === group[i])));
  const values = (list) => [...new Set(rows.map((i) => list[i]).filter((value) => value !== null))];
  return { min: values(min), max: values(max) };
}

function limitsText({ min, max }) {
  const texts = [...min.map((value) => `at least ${celsius(value)}`), ...max.map((value) => `at most ${celsius(value)}`)];
  return texts.length === 0 ? "" : ` Allowed: ${texts.join(", ")}.`;
}

/* Ticks at the beginnings of days in the zone, or at hours below a few days. */
function ticks(from, until, width) {
  const room = Math.max(2, Math.floor(width / 72));
  const step = STEPS_MS.find((candidate) => (until - from) / candidate <= room) ?? STEPS_MS.at(-1);
  const begins = [...data.days_ms, data.end_ms];
  while (begins.at(-1) < until) {
    begins.push(begins.at(-1) + DAY_MS);
  }
  const found = [];
  if (step >= DAY_MS) {
    for (let i = 0; i < begins.length; i += step / DAY_MS) {
      found.push({ v: begins[i], label: shortDay(begins[i]) });
    }
  } else {
    begins.forEach((begin, day) => {
      for (let at = begin; at < (begins[day + 1] ?? until); at += step) {
        found.push({ v: at, label: at === begin ? shortDay(at) : momentText(at).split(", ").at(-1) });
      }
    });
  }
  return found.filter((tick) => tick.v >= from && tick.v <= until);
}

/* A chart with the options that both have. Its readout says the row under the pointer, or of the arrow keys. */
function chartOf(about) {
  const box = make("div", { class: "chart", tabindex: "0", role: "application", "aria-roledescription": "chart", "aria-label": `${about.label} Arrow keys move from value to value.` });
  const say = make("p", { class: "readout", role: "status", text: about.hint });
  about.place.append(box, say);
  const tell = (row) => {
    if (row >= 0 && row < about.rows.length) {
      say.replaceChildren(...about.say(about.rows[row]));
    }
  };
  const mouse = Dygraph.defaultInteractionModel;
  const chart = new Dygraph(box, about.rows, {
    labels: about.labels, colors: about.colours, series: about.series ?? {}, customBars: about.bars === true, fillAlpha: 0.2,
    dateWindow: about.window, valueRange: about.range ?? null, legend: "never", strokeWidth: 2, gridLineColor: colour("line"), axisLineColor: colour("strong-line"),
    xRangePad: 0, yRangePad: about.range ? 0 : 14, connectSeparatedPoints: false, drawPoints: about.rows.length <= 100, pointSize: 1.5, highlightCircleSize: 4,
    drawPointCallback: (g, name, context, x, y, shade_, size) => {
      context.fillStyle = shade_;
      context.beginPath();
      context.arc(x, y, size, 0, 2 * Math.PI);
      context.fill();
    },
    axes: {
      x: { ticker: (from, until, pixels) => ticks(from, until, pixels), drawGrid: false },
      y: { axisLabelFormatter: about.unit, axisLabelWidth: 52 },
    },
    /* Without touch: a finger on a chart scrolls the page. */
    interactionModel: { mousedown: mouse.mousedown, dblclick: mouse.dblclick, willDestroyContextMyself: true },
    underlayCallback: (context, area, g) => {
      shade(context, area, g, about.gaps);
      (about.limits ?? []).forEach((limit) => limitLine(context, area, g, limit));
    },
    highlightCallback: (event, x, points, row) => tell(row),
  });
  let at = -1;
  box.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      at = Math.max(0, Math.min(about.rows.length - 1, at < 0 && by < 0 ? about.rows.length - 1 : at + by));
      chart.setSelection(at);
      tell(at);
    }
  });
  CHARTS.push(chart);
}

/* The days of the chart: those of the data and, for a forecast, a quarter of them more at most. */
function windowOf(device) {
  const from = data.days_ms[0] ?? data.since_ms;
  const left = data.devices.left[device];
  const more = left === null ? 0 : Math.min(left * DAY_MS, Math.max(3 * DAY_MS, (data.until_ms - from) / 4));
  return [from, data.until_ms + more];
}

function timeOf(row) {
  return row.daily ? data.days[row.day] : fullText(row.time);
}

/* One row for each reading where the report has them, which is so for a single device; else one for each day. */
function batteryRows(device) {
  const readings = data.readings?.battery;
  if (readings) {
    return readings.ms.map((time, i) => ({ time, level: readings.level[i], daily: false }));
  }
  return data.days.map((_, day) => ({ time: data.days_ms[day] + DAY_MS / 2, day, level: valueOf(data.series.level, device, day, 0), daily: true }))
    .filter((row) => row.time <= data.until_ms || row.level !== null)
    .map((row) => ({ ...row, time: Math.min(row.time, data.until_ms) }));
}

function drawBattery(device, gaps) {
  const { level, left, rate } = data.devices;
  const window = windowOf(device);
  const measured = batteryRows(device);
  const rows = measured.map((row) => [row.time, row.level, null]);
  let say = "No forecast: the battery does not discharge, or the device is silent.";
  if (left[device] !== null && rate[device] !== null && level[device] !== null) {
    const end = Math.min(window[1], data.until_ms + left[device] * DAY_MS);
    const fallen = level[device] - rate[device] * (end - data.until_ms) / DAY_MS;
    if (rows.length > 0 && rows.at(-1)[0] === data.until_ms) {
      rows.at(-1)[2] = level[device];
    } else {
      rows.push([data.until_ms, null, level[device]]);
    }
    rows.push([end, null, Math.max(0, fallen)]);
    say = `At ${fixed(rate[device], 2)}\u202f% a day it is empty around ${dateText(data.until_ms + left[device] * DAY_MS)}, in ${daysLeft(left[device])}.`;
  }
  const place = make("section", { class: "figure", "aria-labelledby": "battery-title" }, make("h2", { id: "battery-title", text: "Battery" }),
    key([["line", measured[0]?.daily === false ? "level" : "mean level of a day"], ...(rows.length > measured.length ? [["line dashed", "forecast"]] : [])], gaps));
  byId("device").append(place);
  if (!measured.some((row) => row.level !== null)) {
    place.append(make("p", { class: "quiet", text: "No battery level in this period." }));
    return;
  }
  chartOf({
    place, rows, gaps, window, labels: ["time", "level", "forecast"], colours: [colour("ink"), colour("accent")], range: [0, 102],
    series: { forecast: { strokePattern: [6, 4], drawPoints: false } }, unit: (value) => `${value}\u202f%`,
    label: `Battery level of ${data.devices.id[device]}. ${say}`, hint: say,
    say: ([time, value, forecast]) => {
      const row = measured.find((candidate) => candidate.time === time);
      return [make("b", { text: row ? timeOf(row) : dateText(time) }), value !== null ? `: ${fixed(value, 1)}\u202f%` : forecast !== null ? `: ${fixed(forecast, 0)}\u202f% expected` : ": no reading"];
    },
  });
}

function temperatureRows(device) {
  const readings = data.readings?.temperature;
  if (readings) {
    return readings.ms.map((time, i) => ({ time, daily: false, value: readings.celsius[i] === null ? null : [readings.celsius[i], readings.celsius[i], readings.celsius[i]] }));
  }
  const { low, mean, high } = data.series;
  return data.days.map((_, day) => {
    const middle = valueOf(mean, device, day, CELSIUS_ZERO);
    return {
      time: Math.min(data.days_ms[day] + DAY_MS / 2, data.until_ms), day, daily: true,
      value: middle === null ? null : [valueOf(low, device, day, CELSIUS_ZERO), middle, valueOf(high, device, day, CELSIUS_ZERO)],
    };
  });
}

/* The range of an axis with some room: of the values, and of the limits that are not far from them. */
function rangeWith(limits, least, most) {
  const reach = Math.max(5, most - least);
  const near = limits.filter((limit) => limit > least - reach && limit < most + reach);
  const low = Math.min(least, ...near);
  const high = Math.max(most, ...near);
  const room = Math.max(0.5, 0.06 * (high - low));
  return [low - room, high + room];
}

function drawTemperature(device, gaps) {
  const measured = temperatureRows(device);
  const daily = measured[0]?.daily !== false;
  const limits = limitsOf(device);
  const lines = [...limits.min, ...limits.max];
  const place = make("section", { class: "figure", "aria-labelledby": "temperature-title" }, make("h2", { id: "temperature-title", text: "Temperature" }),
    key([["line", daily ? "mean of a day" : "temperature"], ...(daily ? [["band", "lowest to highest"]] : []), ...(lines.length > 0 ? [["line dotted", "limit"]] : [])], gaps));
  byId("device").append(place);
  if (!measured.some((row) => row.value !== null)) {
    place.append(make("p", { class: "quiet", text: "No temperature in this period." }));
    return;
  }
  const values = measured.filter((row) => row.value !== null);
  const least = Math.min(...values.map((row) => row.value[0]));
  const most = Math.max(...values.map((row) => row.value[2]));
  const between = `Between ${celsius(least)} and ${celsius(most)} in this period.${limitsText(limits)}`;
  const [low, high] = rangeWith(lines, least, most);
  chartOf({
    place, gaps, bars: true, limits: lines, range: [low, high], window: windowOf(device), rows: measured.map((row) => [row.time, row.value]), labels: ["time", "temperature"],
    colours: [colour("ink")], unit: (value) => `${fixed(value, high - low < 5 ? 1 : 0)}\u202f°C`,
    label: `Temperature of ${data.devices.id[device]}. ${between}`, hint: between,
    say: ([time, value]) => {
      const row = measured.find((candidate) => candidate.time === time);
      return [make("b", { text: timeOf(row) }), value === null ? ": no reading" : daily ? `: ${celsius(value[1])}, from ${celsius(value[0])} to ${celsius(value[2])}` : `: ${celsius(value[1])}`];
    },
  });
}

/* The key of a chart: its lines, and the causes of gaps that are in it. */
function key(lines, gaps) {
  const causes = Object.entries(CAUSES).filter(([name]) => gaps.some((gap) => gap.cause === name));
  return make("div", { class: "key" },
    ...lines.map(([look, text]) => make("span", {}, make("span", { class: `swatch ${look}` }), text)),
    ...causes.map(([, about]) => {
      const canvas = make("canvas", { "aria-hidden": "true" });
      hatch(sharpen(canvas, 18, 14), { left: 0, top: 0, width: 18, height: 14 }, about);
      return make("span", {}, canvas, `gap: ${about.text}`);
    }));
}

/* Gaps of both types at the same time are one row. */
function joined(gaps) {
  const rows = new Map();
  for (const { type, open, cause, from, to } of gaps) {
    const name = `${from} ${to} ${cause}`;
    const row = rows.get(name);
    if (row) {
      row.type = TYPES.join(", ");
    } else {
      rows.set(name, { type, open, cause, from, to });
    }
  }
  return [...rows.values()];
}

function tableOf(head, rows) {
  return make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", text })))), make("tbody", {}, ...rows)));
}

function drawGaps(all) {
  const gaps = joined(all);
  const head = ["From", "Until", "For", "Readings", "Cause"];
  const rows = gaps.slice(0, GAPS_SHOWN).map((gap) => make("tr", {},
    make("td", { text: momentText(gap.from) }), make("td", { class: gap.open ? "late" : null, text: gap.open ? "still" : momentText(gap.to) }),
    make("td", { text: duration((gap.to - gap.from) / 1000) }), make("td", { text: gap.type }), make("td", { text: CAUSES[gap.cause]?.text ?? gap.cause })));
  const more = gaps.length - rows.length;
  byId("device").append(make("section", { "aria-labelledby": "gaps-title" }, make("h2", { id: "gaps-title", text: "Gaps" }),
    gaps.length === 0 ? make("p", { class: "quiet", text: "None in this period: the device kept its interval." })
      : tableOf(head, rows),
    more > 0 ? make("p", { class: "quiet", text: `and ${plural(more, "earlier one", "earlier ones")}` }) : ""));
}

/* The excursions of a device, the latest first; nothing where no limit is for it. */
function drawExcursions(device) {
  const { device: of, side, threshold, extreme, from, to } = data.excursions;
  const limits = limitsOf(device);
  const found = Array.from(of.keys()).filter((i) => of[i] === device);
  if (limits.min.length + limits.max.length + found.length === 0) {
    return;
  }
  const head = ["From", "Until", "For", "Limit", "Furthest"];
  const at = (seconds) => data.since_ms + seconds * 1000;
  const rows = found.slice(0, GAPS_SHOWN).map((i) => make("tr", {},
    make("td", { text: momentText(at(from[i])) }), make("td", { class: to[i] === null ? "late" : null, text: to[i] === null ? "still" : momentText(at(to[i])) }),
    make("td", { text: duration(((to[i] === null ? data.until_ms : at(to[i])) - at(from[i])) / 1000) }),
    make("td", { text: `${side[i] === 0 ? "above" : "below"} ${celsius(threshold[i])}` }), make("td", { text: celsius(extreme[i]) })));
  byId("device").append(make("section", { "aria-labelledby": "excursions-title" }, make("h2", { id: "excursions-title", text: "Excursions of temperature" }),
    found.length === 0 ? make("p", { class: "quiet", text: "None in this period: every temperature is within its limits." }) : tableOf(head, rows),
    found.length > rows.length ? make("p", { class: "quiet", text: `and ${plural(found.length - rows.length, "earlier one", "earlier ones")}` }) : ""));
}

/* Everything by day in numbers, for who cannot see the charts. */
function drawDaily(device) {
  const { level, low, mean, high } = data.series;
  const head = [`Day (${data.zone})`, "Coverage", "Battery", "Lowest", "Mean", "Highest"];
  const rows = data.days.map((day, i) => make("tr", {}, make("th", { scope: "row", text: day }),
    ...[percent(coverageOf(device, i)), percent(valueOf(level, device, i, 0)), ...[low, mean, high].map((text) => celsius(valueOf(text, device, i, CELSIUS_ZERO)))]
      .map((text) => make("td", { class: "number", text })))).reverse();
  byId("device").append(make("details", {}, make("summary", { text: "Day by day, as a table" }), make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((text, i) => make("th", { scope: "col", class: i === 0 ? null : "number", text })))), make("tbody", {}, ...rows)))));
}

function facts(device) {
  const { level, volts, celsius: warmth, seen, usual, left, rate, recharges } = data.devices;
  const fact = (name, value, more, late) => make("div", {}, make("dt", { text: name }), make("dd", { class: late ? "late" : null }, value, more ? make("small", { text: more }) : ""));
  const ago = seen[device];
  return make("dl", { class: "facts" },
    fact("Battery", percent(level[device]), volts[device] === null ? "" : `${fixed(volts[device], 2)}\u202fV`),
    fact("Empty in", daysLeft(left[device]), rate[device] === null ? "" : `${fixed(rate[device], 2)}\u202f% a day${recharges[device] > 0 ? `, ${plural(recharges[device], "recharge", "recharges")}` : ""}`, ATTENTION.empty.has(device)),
    fact("Temperature", celsius(warmth[device]), data.hot[device] === 2 ? "outside its limits" : data.hot[device] === 1 ? "was outside its limits" : "", data.hot[device] === 2),
    fact("Last seen", ago === null ? "never" : `${duration(ago)} ago`, ago === null ? "" : momentText(data.until_ms - ago * 1000), data.silent[device] === 1),
    fact("Usual interval", usual[device] === null ? "–" : duration(usual[device]), ""),
    fact("Coverage", percent(data.coverage[device]), `${plural(data.days.length, "day", "days")}`));
}

/* Draws the page of a device. */
function drawDevice(device) {
  const gaps = gapsOf(device);
  const place = byId("device");
  const names = groupsOf(device);
  clearCharts();
  byId("title").replaceChildren(make("bdi", { text: data.devices.id[device] }));
  byId("scope").textContent = `${data.families[data.devices.family[device]]}${names === "" ? "" : ` · ${names}`} · ${scopeText()}`;
  place.replaceChildren(...(data.devices.id.length > 1 ? [make("a", { class: "back", href: "#/", text: "← Fleet" })] : []), facts(device));
  drawBattery(device, gaps.filter((gap) => gap.type === "battery"));
  drawTemperature(device, gaps.filter((gap) => gap.type === "temperature"));
  drawExcursions(device);
  drawGaps(gaps);
  drawDaily(device);
}

function clearCharts() {
  CHARTS.splice(0).forEach((chart) => chart.destroy());
}
