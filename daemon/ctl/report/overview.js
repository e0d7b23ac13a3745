/* What needs attention, and where every message went. */
const CARD_ROWS = 5;
/* Reasons of the table gaps: messages that were stored are missing. With the others the broker may have lost some. */
const OLDER = ["restored", "older database"];

function card(about) {
  const list = make("ul");
  about.rows.slice(0, CARD_ROWS).forEach((row) => list.append(make("li", {}, ...row)));
  return make("div", { class: `card ${about.count > 0 ? "alert" : "calm"}`, id: `card-${about.name}` },
    make("h3", {}, about.title, make("span", { class: "count", text: about.text ?? whole(about.count) })),
    make("p", { class: "note", text: about.note }),
    list,
    about.filter && about.count > CARD_ROWS
      ? make("button", { type: "button", class: "plain", text: `Show all ${whole(about.count)}`, click: () => showOnly(about.filter) })
      : "");
}

function side(text) {
  return make("span", { text });
}

function cardEmpty() {
  const devices = needing("empty");
  const known = data.devices.left.filter((left) => left !== null).length;
  return card({
    name: "empty", title: "Empty soonest", count: devices.length, filter: "empty",
    note: devices.length > 0 ? `within ${SOON_DAYS} days, at their rate of discharge`
      : known > 0 ? `none of ${whole(known)} within ${SOON_DAYS} days` : "no battery has a forecast",
    rows: devices.map((i) => [deviceLink(i), side(`${percent(data.devices.level[i])} · ${daysLeft(data.devices.left[i])}`)]),
  });
}

function cardSilent() {
  const devices = needing("silent");
  const longer = data.silent_devices.length - devices.length;
  return card({
    name: "silent", title: "Newly silent", count: devices.length, filter: "silent",
    note: (devices.length > 0 ? `for longer than usual, heard of within ${NEWLY_DAYS} days` : "every device keeps its interval") +
      (longer > 0 ? `; ${whole(longer)} silent for longer` : ""),
    rows: devices.map((i) => [deviceLink(i), side(`for ${duration(data.devices.seen[i])}`)]),
  });
}

function cardExcursions() {
  const { device, to, extreme, side: sides, threshold } = data.excursions;
  const order = Array.from(device.keys()).sort((a, b) => (to[a] === null ? 0 : 1) - (to[b] === null ? 0 : 1));
  const open = to.filter((end) => end === null).length;
  return card({
    name: "excursions", title: "Excursions", count: data.excursions_total, filter: "excursion",
    note: data.limits_total === 0 ? "no limits are set: see the table limits"
      : data.excursions_total > 0 ? `of temperature; ${whole(open)} going on` : "every temperature is within its limits",
    rows: order.slice(0, CARD_ROWS).map((i) => [deviceLink(device[i]),
      side(`${fixed(extreme[i] ?? 0, 1)} ${sides[i] === 0 ? ">" : "<"} ${celsius(threshold[i])}`)]),
  });
}

function cardDrops() {
  const devices = needing("drop");
  return card({
    name: "drops", title: "Coverage drops", count: devices.length, filter: "drop",
    note: devices.length > 0 ? `the last ${DROP_DAYS} days against those before` : `none of ${DROP_POINTS} points or more`,
    rows: devices.map((i) => [deviceLink(i), side(`${percent(data.before[i])} → ${percent(data.lately[i])}`)]),
  });
}

function cardQuarantine() {
  const { reason, messages, last_ms: last, detail } = data.quarantine;
  const total = messages.reduce((sum, count) => sum + count, 0);
  return card({
    name: "quarantine", title: "Quarantine", count: total,
    note: total > 0 ? "messages kept that cannot be understood" : "every message was understood",
    rows: reason.map((name, i) => [make("span", { text: name, title: detail[i] ?? "" }),
      side(`${whole(messages[i])} · ${shortDay(last[i])}`)]),
  });
}

function drawAttention() {
  byId("attention").replaceChildren(cardEmpty(), cardSilent(), cardExcursions(), cardDrops(), cardQuarantine());
}

/* "received = stored + duplicate + quarantined", and the table gaps: both of the whole database. */
function drawAccounts() {
  const { received, stored, duplicate, quarantined, runs, started_ms: started } = data.accounts;
  const agrees = received === stored + duplicate + quarantined;
  const losses = data.losses.reason.length;
  const older = data.losses.reason.filter((reason) => OLDER.includes(reason)).length;
  const term = (value, name) => make("div", { class: "term" }, make("span", { text: name }), make("b", { text: whole(value) }));
  const signed = (text, ...more) => make("div", { class: "signed" }, make("i", { text }), term(...more));
  const part = (value, name) => {
    const bar = make("span", { class: name, title: `${name} ${whole(value)}` });
    bar.style.flexGrow = value;
    return value > 0 ? bar : "";
  };
  byId("accounts-title").textContent = !agrees ? "The accounts do not agree"
    : older > 0 ? "Messages are missing: an older database was put in place"
      : losses > 0 ? "Every message that arrived is accounted for" : "Nothing was lost";
  const lists = [make("ul", { class: "losses" }), make("ul", { class: "losses" })];
  for (let i = 0; i < losses; i++) {
    const from = data.losses.from_ms[i];
    lists[OLDER.includes(data.losses.reason[i]) ? 0 : 1].append(make("li", { text: `${from === null ? "until" : `${fullText(from)} to`} ${fullText(data.losses.to_ms[i])}: ${data.losses.reason[i]} (${data.losses.client_id[i]})` }));
  }
  byId("accounts").replaceChildren(
    make("div", { class: "sum" }, term(received, "received"), signed(agrees ? "=" : "≠", stored, "stored"),
      signed("+", duplicate, "duplicate"), signed("+", quarantined, "quarantined")),
    make("div", { class: "share", "aria-hidden": "true" }, part(stored, "stored"), part(duplicate, "duplicate"), part(quarantined, "quarantined")),
    make("p", { class: "quiet", text: runs === 0 ? "The daemon has not run yet."
      : `Messages of ${plural(runs, "run", "runs")} of the daemon since ${dateText(started)}, of the whole database. No message is acknowledged before it is on disk.` }),
    ...(agrees ? [] : [make("p", { class: "warn", text: "The sum is not what was received. Run foxtrackrctl verify." })]),
    ...(older === 0 ? [] : [make("p", { class: "warn", text: "What came in these times was stored in the database that was replaced:" }), lists[0]]),
    ...(losses === older ? [] : [make("p", { class: "warn", text: "Messages may be missing that never arrived, from these times:" }), lists[1]]));
}
