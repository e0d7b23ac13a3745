"""foxtrackrctl on PostgreSQL: it checks, verifies, repairs, exports and refuses as on a file of SQLite."""

import csv
import io
import json
import re
import subprocess

import pytest

import fleet
import pq
from foxtrackrd import foxtrackrctl
from harness import FOXTRACKRCTL, wait_until
from test_postgresql import Database, cluster, sections  # noqa: F401

DAY_MS = 86_400_000
CHECKS = ["database", "schema", "months", "ranges", "foreign keys", "expired", "runs", "quarantine", "readings",
          "digests", "JSON", *(f"view {name}" for name in (
              "battery_daily", "battery_latest", "battery_pieces", "battery_trend", "coverage_daily", "days", "fleet",
              "fleet_daily", "group_daily", "quarantine_summary", "reporting_gaps", "silent_devices",
              "temperature_daily", "temperature_excursions", "temperature_latest", "temperature_pieces",
              "usual_intervals")), "integrity"]


@pytest.fixture(name="pg")
def fixture_pg(cluster, request):  # noqa: F811
    name = request.node.name.partition("[")[0]
    cluster.make_database(name)
    return Database(cluster, name)


@pytest.fixture(name="filled")
def fixture_filled(broker, make_daemon, pg):
    """A daemon with every kind of row in its database."""
    daemon = make_daemon(broker, **sections(pg)).start()
    manifest = fleet.play(broker, messages=400, garbage=60, other=30, group_topics=True)
    wait_until(lambda: pg.received() >= manifest.messages, timeout=60, what="all messages")
    return daemon


def findings(daemon, *words):
    """The findings of check or verify: [(check, good, warning, detail)]."""
    done = foxtrackrctl(daemon, *words, "--json", check=False)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["good"] else 1)
    return [(one["check"], one["good"], one["warning"], one["detail"]) for one in report["checks"]]


def wrong(daemon, *words):
    """The names of what is not good."""
    return [check for check, good, _, _ in findings(daemon, *words) if not good]


DAMAGE = [  # and what repairs it
    ("DROP INDEX device_groups_by_device", "CREATE INDEX device_groups_by_device ON device_groups (device)", "schema"),
    ("SET session_replication_role = replica; UPDATE devices SET device = -device"
     " WHERE device = (SELECT min(device) FROM battery)",
     "SET session_replication_role = replica; UPDATE devices SET device = -device WHERE device < 0", "foreign keys"),
    ("ALTER TABLE runs DROP CONSTRAINT runs_check; UPDATE runs SET received = received + 1",
     "UPDATE runs SET received = received - 1", "runs"),
    ("UPDATE quarantine SET occurrences = occurrences + 1000", "UPDATE quarantine SET occurrences = occurrences - 1000",
     "quarantine"),
    ("UPDATE quarantine SET reason = '+' || reason", "UPDATE quarantine SET reason = substr(reason, 2)", "quarantine"),
    ("CREATE TABLE kept AS SELECT * FROM runs;"
     " UPDATE runs SET stored = 1, received = 1 + duplicate + quarantined",
     "UPDATE runs SET stored = kept.stored, received = kept.received FROM kept; DROP TABLE kept", "readings"),
    ("UPDATE quarantine SET payload = payload || 'x'::bytea",
     "UPDATE quarantine SET payload = substring(payload FOR length(payload) - 1)", "digests"),
    ("UPDATE messages SET body = (body::text || ' ')::json", "UPDATE messages SET body = rtrim(body::text)::json",
     "digests"),
    ("CREATE TABLE kept AS SELECT * FROM battery ORDER BY time_ms LIMIT 1;"
     " UPDATE battery AS b SET extra = '{\"a\": 1e-2000}' FROM kept AS k WHERE (k.device, k.time_ms) = (b.device, b.time_ms)",
     "UPDATE battery AS b SET extra = k.extra FROM kept AS k WHERE (k.device, k.time_ms) = (b.device, b.time_ms);"
     " DROP TABLE kept", "JSON"),
    ("CREATE VIEW broken AS SELECT 1 / (count(*) - count(*)) AS n FROM devices", "DROP VIEW broken", "view broken"),
]


def test_verify_finds_every_damage(filled, pg, cluster):  # noqa: F811
    """Goal: every check is made and good, beside the running daemon and after it; and each kind of damage is found, by
    its own check alone."""
    assert [check for check, *_ in findings(filled, "verify")] == CHECKS
    assert wrong(filled, "verify") == []
    filled.stop()
    for damage, repair, check in DAMAGE:
        cluster.psql(damage, pg.name)
        assert wrong(filled, "verify") == [check], damage
        cluster.psql(repair, pg.name)
    assert wrong(filled, "verify") == []


def test_verify_tells_what_it_cannot_read(filled, pg, cluster):  # noqa: F811
    """Goal: without a table, verify names it, and each check that needs it says so in a sentence."""
    filled.stop()
    cluster.psql("ALTER TABLE quarantine RENAME TO away", pg.name)
    told = {check: detail for check, good, _, detail in findings(filled, "verify") if not good}
    assert "is without quarantine" in told["schema"]
    assert re.search('cannot verify its digests: relation "quarantine" does not exist', told["digests"]), told
    assert not re.search("cannot (months|digests|JSON|view)", " ".join(told.values())), told


def most_filled(pg, table):
    """The partition of this table with most rows, and how many it has."""
    names = [name for name, in pg.rows(f"SELECT name FROM foxtrackr_partitions WHERE parent = '{table}'")]
    return max(((name, int(pg.value(f"SELECT count(*) FROM {name}"))) for name in names), key=lambda one: one[1])


def detach(table, month):
    """What the first transaction of retention does with a month that is old as a whole."""
    return f"ALTER TABLE {table} DETACH PARTITION {month}; ALTER TABLE {month} RENAME TO foxtrackr_expired_{month};"


def test_verify_knows_detached_months(filled, pg, cluster):  # noqa: F811
    """Goal: rows of months that retention has detached and not dropped yet, as a kill leaves them, are called expired; no
    message is missing for it, and nothing is wrong. Retention drops them later."""
    filled.stop()
    whole = dict((check, detail) for check, _, _, detail in findings(filled, "verify"))
    assert "no month" in whole["expired"] and "deleted" not in whole["readings"]
    months = {table: most_filled(pg, table) for table in ("battery", "messages")}
    assert all(count > 0 for _, count in months.values())
    for table, (month, _) in months.items():
        cluster.psql(detach(table, month), pg.name)
    found = findings(filled, "verify")
    told = {check: detail for check, _, _, detail in found}
    count = sum(count for _, count in months.values())
    assert all(good and not warning for _, good, warning, _ in found)
    assert told["expired"].startswith(f"{count} rows of 2 months that retention has detached"), told["expired"]
    assert f"foxtrackr_expired_{months['battery'][0]}" in told["expired"]
    assert f", {count} expired, of " in told["readings"] and "deleted" not in told["readings"]

    filled.configure(database={"retention_days": 3650})
    filled.start()
    wait_until(lambda: pg.value("SELECT sum(row_count) FROM expired") == str(count), what="retention")
    filled.stop()
    told = dict((check, detail) for check, _, _, detail in findings(filled, "verify"))
    assert "no month" in told["expired"]


def test_verify_beside_a_retention(filled, pg, cluster):  # noqa: F811
    """Goal: a month that retention detaches between verify's list of months and its count is no fault of the database."""
    filled.stop()
    (first, count), (second, _) = (most_filled(pg, table) for table in ("messages", "battery"))
    cluster.psql(detach("messages", first), pg.name)
    with pq.Connection(cluster.conninfo(pg.name, "postgres")) as retention:
        retention.execute("BEGIN")
        retention.execute(f"LOCK TABLE foxtrackr_expired_{first} IN ACCESS EXCLUSIVE MODE")
        verify = subprocess.Popen([FOXTRACKRCTL, "-c", filled.config, "verify", "--json"], stdout=subprocess.PIPE)
        wait_until(lambda: "Lock" in cluster.psql("SELECT wait_event_type FROM pg_stat_activity", pg.name),
                   what="verify to wait")
        for statement in detach("battery", second).split(";")[:2]:
            retention.execute(statement)
        retention.execute("COMMIT")
        report = json.loads(verify.communicate(timeout=60)[0])
    assert [one["detail"] for one in report["checks"] if not one["good"]] == [] and verify.returncode == 0
    told = {one["check"]: one["detail"] for one in report["checks"]}
    assert told["expired"] == f"{count} rows of a month that retention has detached (table foxtrackr_expired_{first}):" \
        " the next retention of a foxtrackrd drops it"
    assert "deleted, by retention or by hand" in told["readings"]


def summary(done):
    """The table of replay's summary: {source: [examined, moved, duplicate, conflict, kept]}."""
    rows = (line.split() for line in done.stdout.splitlines())
    return {row[0]: [int(n) for n in row[1:]] for row in rows if len(row) == 6 and row[1].isdigit()}


def test_replay_moves_what_is_understood_now(broker, filled, pg):
    """Goal: after max_future was raised, messages with those times become rows, with the time of their arrival, their
    device and their group, and extra becomes columns; everything else stays byte for byte."""
    late = fleet.now_ms() + 3 * DAY_MS
    received = pg.received()
    broker.publish("foxtrackr/depot/V3.0/bat", fleet.battery("late", late, 3.7))
    broker.publish("foxtrackr/late/V3.0/bat", fleet.battery("late", late, 3.7))
    broker.publish("foxtrackr/late/V3.0/bat", fleet.battery("late", late, 3.6))
    broker.publish("foxtrackr/odd/V3.0/bat", json.dumps({
        "messageType": 1, "deviceId": "odd", "version": 3, "timeMs": fleet.now_ms(), "battery": {"akku": 3700}}))
    wait_until(lambda: pg.received() == received + 4, what="four more messages")
    everything = "SELECT md5(string_agg(concat(digest, payload, occurrences, first_received_ms), '' ORDER BY digest)) " \
                 "FROM quarantine WHERE NOT position('\"late\"' in encode(payload, 'escape')) > 0"
    before, runs = pg.value(everything), pg.rows("SELECT * FROM runs")
    arrived = int(pg.value("SELECT min(first_received_ms) FROM quarantine"
                           " WHERE position('\"late\"' in encode(payload, 'escape')) > 0"))
    assert summary(foxtrackrctl(filled, "replay"))["together"][1:3] == [0, 0]

    filled.configure(parser={"max_future": "4d"}, fields={"battery.voltage_v": "battery.akku * 0.001"})
    dry = foxtrackrctl(filled, "replay", "--dry-run")
    assert "nothing was changed" in dry.stdout
    assert summary(dry)["time"][1] == 3  # one by one each would be moved
    assert summary(dry)["battery.extra"][1] == 1
    done = summary(foxtrackrctl(filled, "replay"))
    assert done["time"][1] == 1 and sum(done["time"][2:4]) == 2
    assert done["battery.extra"][1] == 1
    [(received_ms, group, first_seen)] = pg.rows(
        "SELECT received_ms, group_name, d.first_seen_ms FROM battery JOIN devices AS d USING (device)"
        f" JOIN device_groups USING (device) WHERE device_id = 'late' AND time_ms = {late}")
    assert arrived <= int(received_ms) <= fleet.now_ms() and group == "depot" and int(first_seen) >= arrived
    assert pg.rows("SELECT voltage_v, extra FROM battery JOIN devices USING (device) WHERE device_id = 'odd'") \
        == [("3.7", None)]
    assert pg.value(everything) == before and pg.rows("SELECT * FROM runs") == runs
    assert summary(foxtrackrctl(filled, "replay"))["together"][1:3] == [0, 0]
    assert wrong(filled, "verify") == []


def test_check_tells_of_the_server(filled, pg, cluster):  # noqa: F811
    """Goal: check shows the server, what it keeps, who has the sessions and which limits match nothing; and says what is
    not good."""
    pg.rows("INSERT INTO limits (device_id, celsius_max) VALUES ('nobody', 8) RETURNING 1")
    filled.configure(**{"view position": {"type": "gps", "a": "no.such.path"}})
    found = findings(filled, "check")
    told = {check: detail for check, _, _, detail in found}
    assert re.match(r"PostgreSQL \d+\.\d+ at the socket: fsync on, synchronous_commit on; 0 deadlocks", told["server"])
    assert re.search(r"host .*, process \d+ has them now", told["sessions"])
    assert "schema 1" in told["database"] and "messages received" in told["database"]
    assert "the server's is not seen from here" in told["disk"]
    assert any("there is no device nobody" in detail for *_, detail in found)
    assert any(check.startswith("view") and "position" in detail for check, *_, detail in found), found
    cluster.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()")
    try:
        wait_until(lambda: cluster.psql("SHOW fsync").split()[-1] == "off", what="the server's setting")
        assert "server" in wrong(filled, "check")
    finally:
        cluster.psql("ALTER SYSTEM RESET fsync; SELECT pg_reload_conf()")
    filled.configure(database={"uri": f"{pg.uri}?options=-csynchronous_commit%3Doff"})
    [detail] = [detail for check, good, _, detail in findings(filled, "check") if check == "server" and not good]
    assert detail.startswith("synchronous_commit = off") and detail.endswith(" configuration may set it")
    filled.configure(database={"uri": pg.uri})
    filled.stop()
    assert dict((check, detail) for check, *_, detail in findings(filled, "check"))["sessions"] == "no daemon has them now"


def test_check_of_an_empty_database(make_daemon, broker, pg):
    """Goal: before the first start nothing is wrong with a database without tables."""
    daemon = make_daemon(broker, **sections(pg))
    assert ("database", True) in [(check, good) for check, good, _, detail in findings(daemon, "check")
                                  if "the daemon will make its tables" in detail]
    refused = foxtrackrctl(daemon, "export", "battery", check=False)
    assert refused.returncode == 66 and "start foxtrackrd once" in refused.stderr


def test_check_of_tables_without_a_version(make_daemon, broker, pg, cluster):  # noqa: F811
    """Goal: check and the daemon refuse a schema with tables of foxtrackrd's names and no schema_version, in a new
    database and in a full one, and say why."""
    daemon = make_daemon(broker, **sections(pg))

    def refused(because):
        [detail] = [detail for check, good, _, detail in findings(daemon, "check") if check == "database" and not good]
        assert because in detail and "name another database or schema (search_path), or restore a backup" in detail
        daemon.start(wait=None)
        assert daemon.wait_exit() == 74 and detail in daemon.log()

    cluster.psql("CREATE TABLE battery (x int)", pg.name)
    refused("has battery, which is a name of foxtrackrd's tables, but no schema_version: these are another program's")
    cluster.psql("DROP TABLE battery", pg.name)
    daemon.start()
    daemon.stop()
    cluster.psql("DROP TABLE schema_version", pg.name)
    refused("but no schema_version: these are another program's tables, or schema_version was dropped")


def test_check_of_a_daemon_and_its_standby(make_daemon, broker, pg):
    """Goal: two configurations with one client id and one database are good when both are standbys, and else a failure
    that names standby; with two databases the lock of neither decides, so the broker would."""
    daemon = make_daemon(broker, **sections(pg))
    other = daemon.directory / "north.conf"

    def told(mine, theirs, change=lambda text: text):
        daemon.configure(session={"standby": theirs})
        other.write_text(change(daemon.config.read_text()).replace("status.json", "north.json"))
        daemon.configure(session={"standby": mine})
        [(good, detail)] = [(good, detail) for _, good, _, detail in findings(daemon, "check") if str(other) in detail]
        return good, detail

    good, detail = told("yes", "yes")
    assert good and detail.endswith(f"are those of {other} too: one daemon has the session, the other waits as its standby")
    for mine, theirs in ("yes", "no"), ("no", "yes"):
        good, detail = told(mine, theirs)
        assert not good and "only one of them has session.standby = yes: set it in both" in detail
    good, detail = told("no", "no")
    assert not good and "neither of them has session.standby = yes: set it in both" in detail
    good, detail = told("yes", "yes", lambda text: text.replace(f"/{pg.name}\n", "/elsewhere\n"))
    assert not good and "the broker would end one session for the other" in detail


def test_backup_and_restore_name_the_programs(make_daemon, broker, pg):
    """Goal: backup and restore do nothing, and say which programs do, and with which words."""
    daemon = make_daemon(broker, **sections(pg))
    backup = foxtrackrctl(daemon, "backup", daemon.directory / "b", check=False)
    assert backup.returncode == 69 and f'pg_dump --format=custom --file=FILE "{pg.uri}"' in backup.stderr
    restore = foxtrackrctl(daemon, "restore", daemon.config, check=False)
    assert restore.returncode == 69 and "pg_restore" in restore.stderr and "stop every foxtrackrd" in restore.stderr


def test_an_export_in_chunks_is_whole(filled, pg, cluster):  # noqa: F811
    """Goal: tables that are read in many chunks, by a key of bytes too, come out whole and once."""
    cluster.psql("INSERT INTO quarantine SELECT sha256(n::text::bytea), 't', NULL, convert_to(repeat('x', 3000), 'UTF8'),"
                 " 'json', 'x', n, n, 1 FROM generate_series(1, 700) AS n;"
                 " INSERT INTO messages SELECT 1, 'gps', n, 'V3.0', 1, to_json(repeat('y', 3000)), sha256(n::text::bytea),"
                 " 0 FROM generate_series(1, 700) AS n", pg.name)
    for table, key in (("quarantine", "digest"), ("messages", "digest"), ("battery", "time_ms")):
        rows = list(csv.DictReader(io.StringIO(foxtrackrctl(filled, "export", table).stdout)))
        assert len(rows) == int(pg.value(f"SELECT count(*) FROM {table}")), table
        if key == "digest":
            assert len({row[key] for row in rows}) == len(rows), table


def test_a_slow_reader_holds_no_snapshot(filled, pg, cluster):  # noqa: F811
    """Goal: while nobody reads the output of an export, no transaction is open at the server: neither for a table nor
    for a view."""
    cluster.psql("INSERT INTO quarantine SELECT sha256(n::text::bytea), 't', NULL, convert_to(repeat('x', 3000), 'UTF8'),"
                 " 'json', 'x', n, n, 1 FROM generate_series(1, 700) AS n;"
                 " CREATE VIEW large AS SELECT n, repeat('x', 3000) AS x FROM generate_series(1, 700) AS n", pg.name)
    refused = foxtrackrctl(filled, "export", "large", check=False)
    assert refused.returncode == 1 and "permission denied" in refused.stderr
    cluster.psql("GRANT SELECT ON large TO foxtrackrd", pg.name)
    for name in ("quarantine", "large"):
        export = subprocess.Popen([FOXTRACKRCTL, "-c", filled.config, "export", name], stdout=subprocess.PIPE)
        try:
            def waits():
                return cluster.psql(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%/%/%' AND state = 'idle'"
                    f" AND backend_xmin IS NULL AND backend_xid IS NULL AND query <> '' AND pid <> {holder}", pg.name)

            holder = pg.value("SELECT pid FROM pg_locks WHERE locktype = 'advisory' LIMIT 1")
            assert export.stdout.read(1000)  # it writes: the pipe is full soon
            wait_until(lambda: int(waits().split()[-1]) == 1, what="an export without a transaction")
            rest = export.stdout.read()
        finally:
            export.stdout.close()
            export.wait(30)
        assert export.returncode == 0 and rest.count(b"\n") >= 699, name


def test_report_and_plot(filled, pg):
    """Goal: a page with every device, and a drawing of one of them."""
    page = filled.directory / "page.html"
    done = foxtrackrctl(filled, "report", "--output", page, check=False)
    if done.returncode != 69:  # 69: built without dygraphs
        assert done.returncode == 0, done.stderr
        text = page.read_text(encoding="utf-8")
        for (device,) in pg.rows("SELECT device_id FROM devices"):
            assert device in text
    [(device,)] = pg.rows("SELECT device_id FROM battery JOIN devices USING (device) GROUP BY device_id"
                          " ORDER BY count(voltage_v) DESC, device_id LIMIT 1")
    assert "level in %" in foxtrackrctl(filled, "plot", "battery", "--device", device, "--since", "30d").stdout


def test_typed_views_follow_the_configuration(broker, filled, pg):
    """Goal: a section [view NAME] becomes a view at a reload, of messages from before too, and goes with its section."""
    broker.publish("foxtrackr/odd/V3.0/gps", json.dumps({
        "messageType": 1, "deviceId": "odd", "version": 3, "timeMs": fleet.now_ms(),
        "gps": {"lat": 51.5, "alt": 12345, "fix": True}}))
    wait_until(lambda: pg.rows("SELECT 1 FROM messages WHERE type = 'gps'"), what="the message")
    section = {"type": "gps", "latitude": "gps.lat", "height_m": "gps.alt * 0.001", "fix": "gps.fix"}
    filled.configure(**{"view position": section})
    filled.reload()
    wait_until(lambda: pg.value("SELECT to_regclass('position')"), what="the view")
    assert pg.rows("SELECT device_id, latitude, height_m, fix FROM position WHERE device_id = 'odd'") \
        == [("odd", "51.5", "12.345", "1")]
    filled.configure(**{"view position": None})
    filled.reload()
    wait_until(lambda: pg.value("SELECT to_regclass('position')") is None, what="the view's end")
