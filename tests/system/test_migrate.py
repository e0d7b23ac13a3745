"""foxtrackrctl migrate: a SQLite database is moved into PostgreSQL, and the daemon goes on there."""

import json
import re
import sqlite3
import subprocess

import fleet
from foxtrackrd import FOXTRACKRCTL, foxtrackrctl
from harness import ROOT, value, wait_until
from test_postgresql import cluster, fixture_pg, sections  # noqa: F401: fixtures

ROWS = 120_000
DIRECTION = "sqlite-to-postgresql"


def migrate(daemon, file, **options):
    return foxtrackrctl(daemon, "migrate", DIRECTION, file, timeout=120, **options)


def test_the_daemon_goes_on_in_postgresql(broker, make_daemon, pg):
    """
    Goal: every row of the file is in PostgreSQL, and with the record of its session the daemon goes on: what came
    while it moved is delivered from the broker's queue, and there is no gap.
    """
    old = make_daemon(broker).start()
    first = fleet.play(broker, old.directory / "first.jsonl", messages=1500, garbage=40, other=40, group_topics=True)
    old.wait_received(first.messages)
    new = make_daemon(broker, **sections(pg))
    done = migrate(new, old.database, check=False)
    assert done.returncode == 1 and "stop foxtrackrd first" in done.stderr
    old.stop()
    second = fleet.play(broker, old.directory / "second.jsonl", messages=300, garbage=5, seed=2)
    done = migrate(new, old.database)
    for table, count in ("battery", value(old.database, "SELECT count(*) FROM battery")), ("sessions", 1), ("runs", 1):
        assert f"\n{table:14} {count:10} row" in f"\n{done.stdout}", done.stdout
    new.start()
    wait_until(lambda: not pg.differences(first, second)[0], timeout=60, every=0.2, what="all rows")
    new.stop()
    assert pg.value("SELECT count(*) FROM gaps") == "0"
    assert pg.value("SELECT count(*) FROM runs") == "2"
    pg.check(first, second)
    for command in "check", "verify":
        assert json.loads(foxtrackrctl(new, command, "--json").stdout)["good"]
    assert "nothing to do" in migrate(new, old.database).stdout
    assert pg.value("SELECT count(*) FROM runs") == "2"


def fill(file):
    """Readings of 50 devices, hourly, and what every other table can hold."""
    with sqlite3.connect(file) as database:
        database.executescript(f"""
            INSERT INTO devices SELECT value, 'foxtrackr', 'm' || value, 1700000000000
              FROM (WITH RECURSIVE n (value) AS (SELECT 1000 UNION ALL SELECT value + 1 FROM n WHERE value < 1049)
                    SELECT value FROM n);
            INSERT INTO battery SELECT 1000 + value % 50, 1700000000000 + value / 50 * 3600000, 3 + value * 1e-6,
                   nullif(value % 101, 100), 2, CASE value % 7 WHEN 0 THEN json_object('a', char(9, 92, 10) || value) END,
                   1700000000000 + value
              FROM (WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {ROWS})
                    SELECT value FROM n);
            INSERT INTO limits (group_name, celsius_max) VALUES ('north', 8.5);
            INSERT INTO gaps VALUES ('id-test-01', NULL, 1700000000000, 'session lost');
            INSERT INTO quarantine VALUES (x'01', x'fffe', x'00ff0a5c', 'topic', 'no text', 1, 2, 3),
                                          (x'02', 'a text', x'', 'topic', 'a text', 1, 2, 3);
            INSERT INTO expired SELECT run, 'battery', 5, 1, 2 FROM runs LIMIT 1;
        """)
    database.close()


def test_killed_at_any_moment(broker, make_daemon, pg, cluster):
    """
    Goal: killed again and again, it goes on behind its last batch, and no daemon starts on half a database; a
    difference between the two is found, and so is a row that PostgreSQL cannot hold.
    """
    old = make_daemon(broker).start()
    old.stop()
    fill(old.database)
    new = make_daemon(broker, **sections(pg))

    def change(sql):
        with sqlite3.connect(old.database) as database:
            database.execute(sql)
        database.close()

    def moved():
        if pg.value("SELECT to_regclass('foxtrackr_transfer')") is None:
            return 0
        return int(pg.value("SELECT coalesce(max(number), 0) FROM foxtrackr_transfer WHERE item = 'battery'"))

    # Each batch of battery lasts a second, so that the kill comes in the middle of one.
    cluster.psql("".join(path.read_text() for path in sorted((ROOT / "schema" / "postgresql").glob("0*.sql"))),
                 pg.name, "foxtrackrd", single=True)
    cluster.psql("CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';"
                 "CREATE TRIGGER nap BEFORE INSERT ON battery FOR EACH STATEMENT EXECUTE FUNCTION nap()",
                 pg.name, "foxtrackrd")
    for _ in range(2):
        before = moved()
        process = subprocess.Popen([FOXTRACKRCTL, "-c", new.config, "migrate", DIRECTION, old.database],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: moved() > before or process.poll() is not None, timeout=60, every=0.01, what="a batch")
        assert process.poll() is None, process.communicate()[1]
        process.kill()
        process.communicate()
        assert before < moved() < ROWS
    cluster.psql("DROP FUNCTION nap CASCADE", pg.name, "postgres")
    new.start(wait=None)
    assert new.wait_exit() == 74
    assert "run foxtrackrctl migrate again" in new.log()
    for command, check in ("check", "database"), ("verify", "move"):
        told = json.loads(foxtrackrctl(new, command, "--json", check=False).stdout)["checks"]
        [wrong] = [one for one in told if not one["good"]]
        assert wrong["check"] == check and "run foxtrackrctl migrate again" in wrong["detail"], told
        assert "schema" not in [one["check"] for one in told]

    change("INSERT INTO runs (started_ms, version) VALUES (1, 'x')")
    done = migrate(new, old.database, check=False)
    assert done.returncode == 66 and "the file has changed since" in done.stderr
    change("DELETE FROM runs WHERE version = 'x'")

    change("INSERT INTO messages SELECT device, 'odd', 1700000000000, 'V3.0', 2, '{\"a\": 1e-2000}', x'00', 1"
           " FROM devices LIMIT 1")
    done = migrate(new, old.database, check=False)
    assert done.returncode == 66 and re.search(
        r"cannot hold a row of messages \(device 1000.*\): a (string|number|text) has ", done.stderr), done.stderr
    change("DELETE FROM messages WHERE type = 'odd'")

    one = "WHERE (device, time_ms) = (SELECT device, min(time_ms) FROM battery GROUP BY device LIMIT 1)"
    voltage = pg.value(f"SELECT voltage_v FROM battery {one}")
    pg.value(f"UPDATE battery SET voltage_v = voltage_v + 1e-9 {one} RETURNING 1")
    done = migrate(new, old.database, check=False)
    assert done.returncode == 74 and "battery differs: 120000 rows in" in done.stderr, done.stderr
    pg.value(f"UPDATE battery SET voltage_v = {voltage} {one} RETURNING 1")
    assert f"{'battery':14} {ROWS:10} rows, the same on both sides\n" in migrate(new, old.database).stdout
    assert pg.value("SELECT count(*) FROM battery") == str(ROWS)
    assert pg.rows("SELECT topic, topic_bytes, payload FROM quarantine ORDER BY digest") == [
        (None, "\\xfffe", "\\x00ff0a5c"), ("a text", None, "\\x")]
    new.start()
    new.stop()
    assert pg.value("SELECT max(run) FROM runs") == "2" and pg.value("SELECT count(*) FROM gaps") == "1"


def test_a_database_in_use_is_left_alone(broker, make_daemon, pg):
    """Goal: rows are moved into an empty database alone; a wrong file and a wrong configuration are told."""
    old = make_daemon(broker).start()
    new = make_daemon(broker, session={"number": "02"}, **sections(pg)).start()
    new.stop()
    done = migrate(new, old.directory / "none.db", check=False)
    assert done.returncode == 66 and "No such file" in done.stderr
    assert not (old.directory / "none.db").exists()
    old.stop()
    done = migrate(new, old.database, check=False)
    assert done.returncode == 66 and "has rows already: take an empty database" in done.stderr, done.stderr
    assert migrate(old, old.database, check=False).returncode == 78
    assert foxtrackrctl(new, "migrate", "postgresql-to-sqlite", old.database, check=False).returncode == 64
