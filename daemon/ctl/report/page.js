/* Which part is shown, and a live page that loads itself again. */
function scopeText() {
  const count = data.days.length;
  const from = data.days_ms[0] ?? data.since_ms;
  return `${dateText(from)} to ${dateText(data.until_ms)} (${plural(count, "day", "days")}, ${data.zone})`;
}

/* The device of the address, #/device/FAMILY/DEVICE; -1: none. A report of one device has only that page. */
function deviceOfAddress() {
  const [, kind, family, id] = location.hash.replace(/^#/, "").split("/");
  if (kind === "device" && id !== undefined) {
    try {
      const name = decodeURIComponent(id);
      const kin = data.families.indexOf(decodeURIComponent(family));
      return data.devices.id.findIndex((other, i) => other === name && data.devices.family[i] === kin);
    } catch {
      return -1;
    }
  }
  return data.scope.device !== null && data.devices.id.length === 1 ? 0 : -1;
}

/* Draws what the address names. */
function draw() {
  const device = deviceOfAddress();
  byId("overview").hidden = device >= 0;
  byId("device").hidden = device < 0;
  if (device >= 0) {
    drawDevice(device);
  } else {
    const { group, device: only } = data.scope;
    clearCharts();
    byId("device").replaceChildren();
    byId("title").textContent = group !== null ? `Group ${group}` : only !== null ? `Device ${only}` : "Fleet report";
    byId("scope").textContent = `${plural(data.devices.id.length, "device", "devices")} · ${scopeText()}`;
    drawAttention();
    drawAccounts();
    fillTools();
    drawFleet();
  }
  byId("made").textContent = `Made ${fullText(data.made_ms)} by foxtrackrctl ${data.program}${data.gaps_total > data.gaps.length / GAP_DIGITS ? `; of ${whole(data.gaps_total)} gaps it has the ${whole(data.gaps.length / GAP_DIGITS)} longest` : ""}.`;
  document.title = byId("title").textContent;
}

function load(text) {
  const loaded = JSON.parse(text);
  useZone(loaded.zone);
  prepare(loaded);
}

/* Another page: draw it from its top, and let a screen reader begin there. */
function navigate() {
  draw();
  window.scrollTo(0, 0);
  byId("title").focus({ preventScroll: true });
}

/* Remembers what has the focus. Returns a function that finds it again among elements that were made anew: by its id,
 * a link by where it leads, anything else by its place among its kind. */
function rememberFocus() {
  const active = document.activeElement;
  const href = active.getAttribute("href");
  const part = active.closest("section[aria-labelledby]")?.getAttribute("aria-labelledby");
  const within = part ? `section[aria-labelledby="${part}"] ` : active.closest("#device") ? "#device " : "";
  const kind = within + (href !== null ? `a[href="${CSS.escape(href)}"]` : active.tabIndex === 0 && active.matches("div") ? "div[tabindex]" : active.tagName);
  const place = active === document.body ? -1 : Array.from(document.querySelectorAll(kind)).indexOf(active);
  return () => (active.id !== "" ? byId(active.id) : document.querySelectorAll(kind)[place])?.focus({ preventScroll: true });
}

/* Tells whether the page is connected. A screen reader says so when that changes, not every half minute. */
function sayLive(connected, since) {
  const live = byId("live");
  const changed = live.classList.contains("lost") === connected;
  live.setAttribute("aria-live", changed ? "polite" : "off");
  live.className = connected ? "live" : "live lost";
  live.textContent = connected ? `Live, as of ${momentText(data.made_ms)}` : `Not connected since ${momentText(since.ms)}; trying again.`;
}

/* Loads the page again and takes its data; scroll, filter, device, focus and what is unfolded stay. */
async function refresh(since) {
  try {
    const answer = await fetch(location.pathname + location.search, { cache: "no-store" });
    if (!answer.ok) {
      throw new Error(answer.statusText);
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [x, y] = [window.scrollX, window.scrollY];
    const focusAgain = rememberFocus();
    const unfolded = document.querySelector("#device details")?.open === true;
    load(page.getElementById("data").textContent);
    draw();
    if (unfolded) {
      document.querySelector("#device details").open = true;
    }
    window.scrollTo(x, y);
    focusAgain();
    since.ms = Date.now();
    sayLive(true, since);
  } catch {
    sayLive(false, since);
  }
}

function goLive(seconds) {
  const since = { ms: Date.now() };
  byId("live").hidden = false;
  sayLive(true, since);
  const again = async () => {
    await refresh(since);
    setTimeout(again, seconds * 1000);
  };
  setTimeout(again, seconds * 1000);
}

function begin() {
  const seconds = Number(document.documentElement.dataset.live);
  load(byId("data").textContent);
  byId("data").remove();
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); /* the address names what is shown */
    byId("main").focus();
  });
  listenToTools();
  listenToHeat();
  draw();
  window.addEventListener("hashchange", navigate);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.addEventListener("beforeprint", () => {
    document.documentElement.dataset.print = "";
    draw();
  });
  window.addEventListener("afterprint", () => {
    delete document.documentElement.dataset.print;
    draw();
  });
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) {
      width = window.innerWidth;
      draw();
    }
  });
  if (seconds > 0) {
    goLive(seconds);
  }
  document.documentElement.dataset.drawn = String(Math.round(performance.now()));
}

begin();
