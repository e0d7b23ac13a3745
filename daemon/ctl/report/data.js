"use strict";
/*
 * The report's data, as ctl/page_json.c writes it: column arrays, and series as text.
 *
 * A series has two digits of base 64 for each device and day, in the order of data.devices.id and of
 * data.days. 0 is "no value"; another number n is the value (n - 1 - zero) / 10. The parts of the page
 * share one scope; the files are put together in the order of REPORT_SCRIPTS in daemon/ctl/report/report.mk.
 */
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const DIGIT_OF = new Int16Array(128).fill(-1);
for (let i = 0; i < 64; i++) {
  DIGIT_OF[DIGITS.charCodeAt(i)] = i;
}
const CELSIUS_ZERO = 2048;
/* A gap: device, begin and length in minutes of four digits each, and type, openness and cause in one. */
const GAP_DIGITS = 13;
const MINUTES_ZERO = 8388608;
const DAY_MS = 86400000;

/* A drop of coverage: the mean of the last closed days against the mean of those before. */
const DROP_DAYS = 3;
const DROP_POINTS = 20;
/* A battery needs attention when it is empty within this many days. */
const SOON_DAYS = 14;
/* A device is newly silent when it was last heard of within this many days. */
const NEWLY_DAYS = 7;

let data = null;

function numberAt(text, at, digits) {
  let number = 0;
  for (let i = at; i < at + digits; i++) {
    number = number * 64 + DIGIT_OF[text.charCodeAt(i)];
  }
  return number;
}

/* The value of one device on one day, or null. */
function valueOf(text, device, day, zero) {
  const number = numberAt(text, (device * data.days.length + day) * 2, 2);
  return number === 0 ? null : (number - 1 - zero) / 10;
}

function coverageOf(device, day) {
  return valueOf(data.series.coverage, device, day, 0);
}

/* The mean coverage of a device from one day up to another, not included; null without any. */
function meanCoverage(device, from, until) {
  let sum = 0;
  let count = 0;
  for (let day = from; day < until; day++) {
    const value = coverageOf(device, day);
    if (value !== null) {
      sum += value;
      count++;
    }
  }
  return count === 0 ? null : sum / count;
}

/* The begin of the day behind this one: a day with a change of the clock has 23 or 25 hours. */
function endOfDay(day) {
  return data.days_ms[day + 1] ?? data.end_ms;
}

/* The days that are over; the last day is today, unless the report is of an earlier time. */
function closedDays() {
  return data.days.filter((_, day) => endOfDay(day) <= data.until_ms).length;
}

/* Adds what the page computes of each device: coverage, its drop, and the excursions. */
function prepare(loaded) {
  data = loaded;
  const count = data.devices.id.length;
  const closed = closedDays();
  const recent = Math.max(0, closed - DROP_DAYS);
  data.coverage = new Array(count);
  data.before = new Array(count);
  data.lately = new Array(count);
  data.hot = new Uint8Array(count); /* 1: an excursion in the period, 2: one that goes on */
  for (let i = 0; i < count; i++) {
    data.coverage[i] = meanCoverage(i, 0, data.days.length);
    data.before[i] = meanCoverage(i, 0, recent);
    data.lately[i] = meanCoverage(i, recent, closed);
  }
  data.excursions.device.forEach((device, i) => {
    data.hot[device] = Math.max(data.hot[device], data.excursions.to[i] === null ? 2 : 1);
  });
  data.silent = new Uint8Array(count);
  data.silent_devices.forEach((device) => {
    data.silent[device] = 1;
  });
  data.ids = data.devices.id.map((id) => id.toLowerCase());
}

/* The devices of each kind that needs attention, in the order of urgency. */
const ATTENTION = {
  empty: {
    has: (i) => data.devices.left[i] !== null && data.devices.left[i] <= SOON_DAYS,
    order: (a, b) => data.devices.left[a] - data.devices.left[b],
  },
  silent: {
    has: (i) => data.silent[i] === 1 && data.devices.seen[i] !== null && data.devices.seen[i] <= NEWLY_DAYS * 86400,
    order: (a, b) => data.devices.seen[a] - data.devices.seen[b],
  },
  excursion: {
    has: (i) => data.hot[i] > 0,
    order: (a, b) => data.hot[b] - data.hot[a],
  },
  drop: {
    has: (i) => data.silent[i] === 0 && data.before[i] !== null && data.lately[i] !== null &&
      data.before[i] - data.lately[i] >= DROP_POINTS,
    order: (a, b) => (data.before[b] - data.lately[b]) - (data.before[a] - data.lately[a]),
  },
};

function groupsOf(device) {
  return data.devices.groups[device].map((group) => data.groups[group]).join(", ");
}

function everyDevice() {
  return Array.from(data.devices.id.keys());
}

function needing(kind) {
  return everyDevice().filter(ATTENTION[kind].has).sort(ATTENTION[kind].order);
}
