/* Numbers, times and elements. Text goes into the page as text nodes only, never as markup. */
const NUMBER = new Intl.NumberFormat("en-GB");

function whole(value) {
  return NUMBER.format(Math.round(value));
}

function fixed(value, digits) {
  return value.toFixed(digits).replace("-", "\u2212");
}

function percent(value) {
  return value === null ? "–" : `${fixed(value, 0)}\u202f%`;
}

function celsius(value) {
  return value === null ? "–" : `${fixed(value, 1)}\u202f°C`;
}

function plural(count, one, many) {
  return `${whole(count)} ${count === 1 ? one : many}`;
}

/* A duration in its two largest units at most: "3 d 4 h", "12 min". */
function duration(seconds) {
  if (seconds < 60) {
    return `${Math.max(0, Math.round(seconds))} s`;
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  }
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 || days >= 10 ? `${days} d` : `${days} d ${hours % 24} h`;
}

function daysLeft(days) {
  if (days === null) {
    return "–";
  }
  if (days < 1) {
    return "under a day";
  }
  return days > 999 ? "over 999 d" : `${whole(Math.floor(days))} d`;
}

let formats = {};

/* The formats of times in the zone of the database's days. */
function useZone(zone) {
  const make = (options) => {
    try {
      return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
    } catch {
      return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" });
    }
  };
  formats = {
    day: make({ day: "numeric", month: "short" }),
    date: make({ day: "numeric", month: "short", year: "numeric" }),
    moment: make({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    full: make({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
  };
}

function shortDay(ms) {
  return formats.day.format(ms);
}

function dateText(ms) {
  return formats.date.format(ms);
}

function momentText(ms) {
  return formats.moment.format(ms);
}

function fullText(ms) {
  return `${formats.full.format(ms)} ${data.zone}`;
}

/*
 * A new element. `about` has its attributes; "text" is its text and a function is a listener of that name.
 * Children are elements or text.
 */
function make(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (value === null || value === false) {
      continue;
    }
    if (name === "text") {
      element.textContent = value;
    } else if (typeof value === "function") {
      element.addEventListener(name, value);
    } else {
      element.setAttribute(name, value);
    }
  }
  element.append(...children);
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

/* Sets the text of a status: a screen reader says it again only if it is another one. */
function say(id, text) {
  if (byId(id).textContent !== text) {
    byId(id).textContent = text;
  }
}

function pathOf(device) {
  return `#/device/${encodeURIComponent(data.families[data.devices.family[device]])}/${encodeURIComponent(data.devices.id[device])}`;
}

function deviceLink(device) {
  return make("a", { href: pathOf(device), title: data.devices.id[device] }, make("bdi", { text: data.devices.id[device] }));
}

/* The value of a colour of page.css, in the present scheme. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
