"""SIGHUP, key by key: every key of the configuration either takes effect or is named in the log."""

import pathlib
import re

import pytest

import engines
import fleet
import harness
from harness import change, query, slow_disk, value, wait_until

DAY_MS = 86_400_000
PAGE = harness.ROOT / "daemon" / "foxtrackrd.conf.5"
SHIPPED = harness.ROOT / "foxtrackrd.conf"


def documented_keys():
    """Every key of foxtrackrd.conf(5), and whether its text says that a reload is enough. Keys that
    follow each other share a text."""
    keys, waiting = {}, []
    for section, text in re.findall(r"^\.Ss \[(\w+)\] section\n(.*?)(?=^\.S[sh] )",
                                    PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for line in text.splitlines():
            item = re.match(r"\.It Cm (\w+)", line)
            if item:
                waiting = [*waiting, f"{section}.{item[1]}"] if not said else [f"{section}.{item[1]}"]
                keys.update(dict.fromkeys(waiting, False))
            elif line == ".Em Live .":
                keys.update(dict.fromkeys(waiting, True))
            said = not item
    return keys


# --- keys that need a restart ------------------------------------------------------------------------


def other_password(daemon):
    path = daemon.directory / "other"
    path.touch(mode=0o600)
    path.write_text("another\n")
    return path


RESTART = {
    "broker.host": lambda daemon: {"host": "127.0.0.1"},
    "broker.port": lambda daemon: {"port": 1},
    "broker.tls": lambda daemon: {"tls": "no"},
    "broker.ca_file": lambda daemon: {"ca_file": daemon.server.pki.certificate("unknown")},
    "broker.cert_file": lambda daemon: {"cert_file": daemon.server.pki.certificate("unknown"),
                                        "key_file": daemon.server.pki.key("unknown")},
    "broker.key_file": lambda daemon: {"cert_file": daemon.server.pki.certificate("unknown"),
                                       "key_file": daemon.server.pki.key("unknown")},
    "broker.username": lambda daemon: {"username": "somebody"},
    "broker.password_file": lambda daemon: {"password_file": other_password(daemon)},
    "broker.password": lambda daemon: {"password_file": None, "password": "another"},
    "broker.keepalive": lambda daemon: {"keepalive": 33},
    "broker.proxy": lambda daemon: {"proxy": "http://127.0.0.1:1"},
    "broker.proxy_password_file": lambda daemon: {"proxy": "http://me@127.0.0.1:1",
                                                  "proxy_password_file": other_password(daemon)},
    "broker.protocol": lambda daemon: {"protocol": "3.1.1"},
    "session.given": lambda daemon: {"given": "another"},
    "session.number": lambda daemon: {"number": "07"},
    "session.client_id": lambda daemon: {"given": None, "client_id": "id-another"},
    "session.filters": lambda daemon: {"filters": "foxtrackr/#, b"},
    "session.qos": lambda daemon: {"qos": 1},
    "session.receive_maximum": lambda daemon: {"receive_maximum": 200},
    "session.session_expiry": lambda daemon: {"session_expiry": "2d"},
    "database.path": lambda daemon: {"path": daemon.directory / "another.db"},
    "database.durability": lambda daemon: {"durability": "normal"},
    "database.time_zone": lambda daemon: {"time_zone": "Europe/Zurich"},
    "database.busy_timeout": lambda daemon: {"busy_timeout": "7s"},
    "log.target": lambda daemon: {"target": "journal"},
    "log.file": lambda daemon: {"target": "file", "file": daemon.directory / "another.log"},
    "status.file": lambda daemon: {"file": daemon.directory / "another.json"},
    "status.metrics_file": lambda daemon: {"metrics_file": daemon.directory / "another.prom"},
}
"""Key -> the new text of the key's section."""

NAMED_ON_POSTGRESQL = {"database.path": "database.uri"}
"""A test's path stands for the URI there, see engines.py."""

POSTGRESQL = {"engine": "postgresql", "uri": "postgresql:///fleet", "path": None, "min_free_mb": None}
RESTART_OF_POSTGRESQL = {
    "database.engine": {"database": {"engine": "sqlite", "uri": None} if engines.POSTGRESQL else {}},
    "database.uri": {"database": {"uri": "postgresql:///another"}},
    "database.password_file": {"database": {"password_file": other_password}},
    "database.answer_timeout": {"database": {"answer_timeout": "20s"}},
    "session.standby": {"session": {"standby": "yes"}},
}
"""The same of keys that are for PostgreSQL only: the texts of several sections."""


def named_by_a_reload(daemon):
    """The keys that the log names as waiting for a restart, after one SIGHUP."""
    before = len(daemon.log())
    daemon.reload()
    line = re.search(r"reloaded(?:; these changes need a restart: (.*))?$", daemon.log()[before:],
                     re.MULTILINE)
    assert line, daemon.log()[before:]
    return set(line[1].split(", ")) if line[1] else set()


def test_keys_that_need_a_restart_are_named(broker, daemon):
    """Goal: a key that a reload does not change is named by it, each of them, and no other key but
    those that were written with it; the session goes on as it was."""
    daemon.start()
    daemon.config.chmod(0o600)
    for key, new in RESTART.items():
        if engines.POSTGRESQL:
            key = NAMED_ON_POSTGRESQL.get(key, key)
        section = key.partition(".")[0]
        before = dict(daemon.sections[section])
        written = new(daemon)
        daemon.configure(**{section: written})
        named = named_by_a_reload(daemon)
        may = {key, "the password for the proxy"} | {f"{section}.{name}" for name in [*written, "password"]}
        assert key in named and named <= may, f"{key}: {named}"
        daemon.sections[section] = before
        daemon.configure()
        assert named_by_a_reload(daemon) == set(), f"{key} was set back"
    # The content of a file is a value, too; and so is the list of sessions.
    daemon.password_path.write_text("another\n")
    assert named_by_a_reload(daemon) == {"broker.password"}
    daemon.configure(**{"session more": {"given": "more"}})
    assert "the list of sessions" in named_by_a_reload(daemon)

    broker.publish("foxtrackr/n1/V3.0/bat", fleet.battery("n1", fleet.now_ms()))
    daemon.wait_rows(1)
    assert daemon.status()["sessions"][0]["connects"] == 1
    daemon.stop()


def test_keys_of_postgresql_need_a_restart(daemon):
    """Goal: a daemon that finds another engine in its configuration goes on, and says so."""
    daemon.start()
    for key, new in RESTART_OF_POSTGRESQL.items():
        before = {section: dict(keys) for section, keys in daemon.sections.items()}
        written = {"database": {**POSTGRESQL, **new.get("database", {})}, "session": new.get("session", {})}
        for keys in written.values():
            keys.update({name: value(daemon) for name, value in keys.items() if callable(value)})
        daemon.configure(**written)
        assert key in named_by_a_reload(daemon)
        daemon.sections.clear()
        daemon.sections.update(before)
        daemon.configure()
        assert named_by_a_reload(daemon) == set(), f"{key} was set back"
    daemon.stop()


def test_all_of_many_changes_are_counted(broker, make_daemon):
    """Goal: more names than fit a line are not cut in silence: the line says how many there are."""
    sessions = {f"session {'s' * 38}{number}": {"given": f"g{number}", "filters": f"f/{number}"}
                for number in range(10, 26)}
    daemon = make_daemon(broker, session=None, **sessions).start()
    daemon.configure(**{name: {"number": 7, "qos": 1, "filters": "x"} for name in sessions})
    daemon.reload()
    assert re.search(r"these changes need a restart: session s+10\.number, .*\.\.\. \(48 in all\)$",
                     daemon.log(), re.MULTILINE)
    daemon.stop()


# --- keys that a reload changes ----------------------------------------------------------------------


def set_live(daemon, section, **keys):
    """Write the keys and reload. The log says nothing of a restart."""
    daemon.configure(**{section: keys})
    assert named_by_a_reload(daemon) == set()


def look_at_batch_max(daemon):
    manifest = fleet.play(daemon.server, messages=200)
    daemon.wait_received(manifest.messages)
    assert daemon.wait_status(lambda s: s["counts"]["received"] == 200)["database"]["commits"] < 200
    set_live(daemon, "database", batch_max=1)
    commits = daemon.status()["database"]["commits"]
    fleet.play(daemon.server, daemon.directory / "again.jsonl", messages=200, seed=7)
    daemon.wait_received(400)
    after = daemon.wait_status(lambda s: s["counts"]["received"] == 400)["database"]["commits"]
    assert after - commits >= 200


AGED = {"battery": "time_ms", "temperature": "time_ms", "messages": "time_ms",
        "quarantine": "last_received_ms"}


def ages(daemon):
    """Of each table's rows, in days."""
    now = fleet.now_ms()
    return {table: sorted((now - then + DAY_MS // 2) // DAY_MS
                          for then, in query(daemon.database, f"SELECT {column} FROM {table}"))
            for table, column in AGED.items()}


def look_at_retention(key, days, gone):
    """Old rows of the tables in `gone` go at a reload, and those of the others stay."""
    def look(daemon):
        now = fleet.now_ms()
        for device in ("d1", "d2"):
            for number in range(3):
                broker = daemon.server
                broker.publish(f"foxtrackr/{device}/V3.0/bat",
                               fleet.battery(device, now - number))
                broker.publish(f"foxtrackr/{device}/V3.0/temp",
                               fleet.temperature(device, now - number))
                broker.publish(f"foxtrackr/{device}/V3.0/gps", fleet.battery(device, now - number))
                broker.publish(f"foxtrackr/{device}/V3.0/bat", f"{{ {number}")
        daemon.wait_rows(24)
        daemon.stop()
        for table, column in AGED.items():
            one = "digest = (SELECT digest FROM quarantine ORDER BY digest LIMIT 1)" if table == "quarantine" \
                else f"device = 1 AND {column} = {now}"
            change(daemon.database, f"UPDATE {table} SET {column} = {column} - {40 * DAY_MS} WHERE {one}")
        daemon.start()
        assert all(max(found) == 40 for found in ages(daemon).values())
        set_live(daemon, "database", **{key: days})
        wait_until(lambda: all(40 not in ages(daemon)[table] for table in gone),
                   what=lambda: f"old rows to go: {ages(daemon)}")
        assert [table for table, found in ages(daemon).items() if 40 in found] \
            == [table for table in AGED if table not in gone]
    return look


def look_at_rollup_days(daemon):
    """A roll-up that has outlived its readings goes when the limit becomes shorter."""
    now = fleet.now_ms()
    for device in ("d1", "d2"):
        daemon.server.publish(f"foxtrackr/{device}/V3.0/bat", fleet.battery(device, now))
    daemon.wait_rows(2)
    daemon.stop()
    day = now // DAY_MS - 40
    change(daemon.database, "INSERT INTO calendar VALUES (?1, date(?1 * 86400, 'unixepoch'),"
                            " ?1 * 86400000, (?1 + 1) * 86400000, date(?1 * 86400, 'unixepoch'))", day)
    change(daemon.database, "INSERT INTO temperature_days (day, device, readings, first_after_ms, last_before_ms)"
                            " VALUES (?, 1, 1, 1, 1)", day)
    change(daemon.database, "UPDATE rollup_state SET temperature_gone_ms = ?", now - 30 * DAY_MS)
    daemon.configure(database={"rollup_days": 100})
    daemon.start()
    set_live(daemon, "database", rollup_days=50)
    count = "SELECT count(*) FROM temperature_days WHERE readings = 1 AND first_after_ms = 1"
    assert value(daemon.database, count) == 1
    set_live(daemon, "database", rollup_days=35)
    wait_until(lambda: value(daemon.database, count) == 0, what="the roll-up to go")


def look_at_min_free_mb(daemon):
    set_live(daemon, "database", min_free_mb=1048576)
    daemon.wait_status(lambda s: s["database"]["state"] == "takes nothing")
    set_live(daemon, "database", min_free_mb=0)
    daemon.wait_status(lambda s: s["database"]["state"] != "takes nothing")


def oversize(daemon, size):
    """Publish a message of a little more than `size` bytes; whether it was too large."""
    number = value(daemon.database, "SELECT sum(received) FROM runs")
    count = "SELECT count(*) FROM quarantine WHERE reason = 'oversize'"
    before = value(daemon.database, count)
    daemon.server.publish("foxtrackr/m1/V3.0/bat",
                          fleet.battery("m1", fleet.now_ms() + number, padding="x" * size))
    daemon.wait_received(number + 1)
    return value(daemon.database, count) > before


def look_at_max_payload(daemon):
    assert oversize(daemon, 300 << 10)
    set_live(daemon, "parser", max_payload="1MiB")  # more than the ring was made for at the start
    assert not oversize(daemon, 400 << 10)
    assert oversize(daemon, (1 << 20) + 1)
    set_live(daemon, "parser", max_payload="4KiB")
    assert oversize(daemon, 5 << 10)
    set_live(daemon, "parser", max_payload="3MiB")
    assert not oversize(daemon, 2 << 20)


def look_at_max_future(daemon):
    def later(days):
        daemon.server.publish("foxtrackr/f1/V3.0/bat",
                              fleet.battery("f1", fleet.now_ms() + days * DAY_MS))

    later(2)
    daemon.wait_rows(1)
    set_live(daemon, "parser", max_future="10d")
    later(3)
    daemon.wait_rows(2)
    assert query(daemon.database, "SELECT reason FROM quarantine") == [("time",)]
    assert value(daemon.database, "SELECT count(*) FROM battery") == 1


def look_at_version_slash(daemon):
    def publish():
        daemon.server.publish("foxtrackr/f1/V3/0/bat", fleet.battery("f1", fleet.now_ms()))

    publish()
    daemon.wait_rows(1)
    assert query(daemon.database, "SELECT reason FROM quarantine") == [("topic",)]
    set_live(daemon, "parser", version_slash="yes")
    publish()
    daemon.wait_rows(2)
    assert value(daemon.database, "SELECT count(*) FROM battery") == 1


def look_at_level(daemon):
    before = len(daemon.log())
    daemon.configure(log={"level": "err"})
    daemon.reload()
    assert "reloaded" not in daemon.log()[before:]


def look_at_interval(daemon):
    assert daemon.status()["interval_ms"] == 1000
    set_live(daemon, "status", interval="2s")
    daemon.wait_status(lambda s: s["interval_ms"] == 2000)


TABLES = ["battery", "temperature", "messages"]
LIVE = {
    "database.batch_max": look_at_batch_max,
    "database.retention_days": look_at_retention("retention_days", 30, TABLES),
    **{f"database.retention_days_{table}":
       look_at_retention(f"retention_days_{table}", 30, [table]) for table in [*TABLES, "quarantine"]},
    "database.rollup_days": look_at_rollup_days,
    "database.min_free_mb": look_at_min_free_mb,
    "parser.max_payload": look_at_max_payload,
    "parser.max_future": look_at_max_future,
    "parser.version_slash": look_at_version_slash,
    "log.level": look_at_level,
    "status.interval": look_at_interval,
}
"""How to see that a reload has changed it. [fields] has no keys of its own: test_reload.py."""


@pytest.mark.parametrize("key", LIVE)
def test_a_reload_changes(broker, make_daemon, key):
    """Goal: a key that is called live takes effect with SIGHUP."""
    slow = {"environment": slow_disk(sync_us=20000)} if key == "database.batch_max" else {}
    daemon = make_daemon(broker, **slow).start()
    LIVE[key](daemon)
    daemon.stop()


def test_every_key_is_tried_and_documented():
    """Goal: the two lists have every key, and foxtrackrd.conf(5) and the shipped configuration say of
    each what it needs."""
    documented = documented_keys()
    assert {key for key, live in documented.items() if live} == set(LIVE)
    assert {key for key, live in documented.items() if not live} == set(RESTART) | set(RESTART_OF_POSTGRESQL)
    marked, live = set(), False
    section = ""
    for line in pathlib.Path(SHIPPED).read_text().splitlines():
        heading = re.match(r"\[(\w+)\]", line)
        key = re.match(r"#(\w+) =", line)
        section = heading[1] if heading else section
        if key and live:
            marked.add(f"{section}.{key[1]}")
        live = live if key else "[reload]" in line or (live and line.startswith("#"))
    assert marked == set(LIVE)
