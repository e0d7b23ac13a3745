#!/usr/bin/env node
/*
 * Contestant (g): the same as (e) with Node, MQTT.js and better-sqlite3. It gathers 500 messages for a
 * transaction. MQTT.js acknowledges each by itself, so up to 500 acknowledged messages are only in memory.
 *
 * usage: node node_client.js --modules DIR --port P --ca FILE --client-id ID --store DB
 *                            [--protocol 3.1.1|5] [--receive-maximum N]
 *
 * --modules is the directory in which npm has installed mqtt and better-sqlite3.
 */
"use strict";

const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");
const { parseArgs } = require("util");

const BATCH = 500;
const IDLE_MS = 1000;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS battery (device_id TEXT, time_ms INTEGER, voltage REAL, level REAL,
                                    PRIMARY KEY (device_id, time_ms));
CREATE TABLE IF NOT EXISTS temperature (device_id TEXT, time_ms INTEGER, celsius REAL,
                                        PRIMARY KEY (device_id, time_ms));
`;

const text = { type: "string" };
const options = parseArgs({
  options: {
    modules: text, port: text, ca: text, "client-id": text, store: text,
    protocol: { type: "string", default: "3.1.1" }, "receive-maximum": text,
  },
}).values;

const load = createRequire(path.join(path.resolve(options.modules), "index.js"));
const mqtt = load("mqtt");
const Database = load("better-sqlite3");

/* Rows wait here until there are enough of them, or nothing has been written for a while. */
const database = new Database(options.store);
database.pragma("journal_mode = WAL");
database.exec(SCHEMA);
const battery = database.prepare("INSERT OR IGNORE INTO battery VALUES (?, ?, ?, ?)");
const temperature = database.prepare("INSERT OR IGNORE INTO temperature VALUES (?, ?, ?)");
const write = database.transaction((rows) => {
  for (const { deviceId, timeMs, battery: values, temperature: reading } of rows) {
    if (values) {
      battery.run(deviceId, timeMs, values.voltage, values.level);
    } else {
      temperature.run(deviceId, timeMs, reading.celsius);
    }
  }
});
let waiting = [];
let written = Date.now();

function flush() {
  if (waiting.length > 0) {
    write(waiting);
    waiting = [];
  }
  written = Date.now();
}

const is5 = options.protocol === "5";
const client = mqtt.connect({
  protocol: "mqtts",
  host: "127.0.0.1",
  servername: "localhost",
  port: Number(options.port),
  ca: fs.readFileSync(options.ca),
  clientId: options["client-id"],
  clean: false,
  keepalive: 60,
  protocolVersion: is5 ? 5 : 4,
  properties: is5
    ? { sessionExpiryInterval: 604800, receiveMaximum: Number(options["receive-maximum"] || 1000) }
    : undefined,
});

function die(what) {
  console.error(`node_client: ${what}`);
  process.exit(1);
}

client.on("connect", () => client.subscribe("foxtrackr/#", { qos: 2 }, (error) => error && die(error)));
client.on("message", (topic, payload) => {
  waiting.push(JSON.parse(payload));
  if (waiting.length >= BATCH) {
    flush();
  }
});
client.on("error", die);
client.on("close", () => die("connection lost"));

setInterval(() => {
  if (Date.now() - written > IDLE_MS) {
    flush();
  }
}, IDLE_MS / 5);

process.on("SIGTERM", () => {
  flush();
  database.close();
  process.exit(0);
});
