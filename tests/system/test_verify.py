"""foxtrackrctl verify: says what is wrong with a database, and only then."""

import json
import shutil
import sqlite3

import pytest

import fleet
from foxtrackrd import foxtrackrctl
from harness import query

CHECKS = ["database", "schema", "integrity", "foreign keys", "runs", "inbox", "quarantine",
          "readings", "digests", "JSON", "roll-ups", "sums of days",
          *(f"view {name}" for name in (
              "battery_daily", "battery_latest", "battery_pieces", "battery_trend", "coverage_daily", "days", "fleet",
              "fleet_daily", "group_daily", "quarantine_summary", "reporting_gaps", "silent_devices",
              "temperature_daily", "temperature_excursions", "temperature_latest", "temperature_pieces",
              "usual_intervals"))]


@pytest.fixture
def filled(broker, daemon):
    """A database with every kind of row, its daemon running."""
    daemon.start()
    manifest = fleet.play(broker, messages=200, garbage=30, other=30)
    daemon.wait_received(manifest.messages)
    return manifest


def verify(daemon, *arguments):
    """The findings as JSON, and whether the exit status agrees with them."""
    done = foxtrackrctl(daemon, "verify", "--json", *arguments, check=False)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["good"] else 1)
    assert report["good"] == all(one["good"] for one in report["checks"])
    return {one["check"]: one for one in report["checks"]}


def damage(path, *statements):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_verify_a_sound_database(daemon, filled):
    """Goal: every check is made and good, beside the running daemon and after it; people's own
    tables and views do no harm."""
    found = verify(daemon)
    assert list(found) == CHECKS
    assert f"{filled.messages} received" in found["runs"]["detail"]
    daemon.stop()
    damage(daemon.database, "CREATE TABLE mine (a)", "CREATE VIEW my_view AS SELECT 1")
    found = verify(daemon)
    views = [check for check in CHECKS if check.startswith("view ")]
    assert list(found) == CHECKS[:-len(views)] + sorted([*views, "view my_view"])
    text = foxtrackrctl(daemon, "verify").stdout
    assert "BAD" not in text and text.count("good") == len(CHECKS) + 1


DAMAGE = [
    ("DROP INDEX device_groups_by_device", "schema"),
    ("DROP VIEW battery_daily", "schema"),
    ("UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'gaps'", "schema"),
    ("DELETE FROM devices WHERE device = (SELECT device FROM battery LIMIT 1)", "foreign keys"),
    ("UPDATE runs SET received = received + 1", "runs"),
    ("DELETE FROM inbox_position", "inbox"),
    ("UPDATE quarantine SET occurrences = occurrences + 1000", "quarantine"),
    ("UPDATE quarantine SET reason = 'mood'", "quarantine"),
    ("UPDATE runs SET stored = 1, received = 1 + duplicate + quarantined", "readings"),
    ("UPDATE quarantine SET payload = CAST(payload || 'x' AS BLOB)", "digests"),
    ("UPDATE messages SET body = body || ' '", "digests"),
    ("UPDATE temperature SET extra = '{' WHERE time_ms = (SELECT max(time_ms) FROM temperature)",
     "JSON"),
    ("UPDATE rollup_state SET from_ms = 9000000000000000, until_ms = 9000000000000000", "roll-ups"),
    ("CREATE VIEW broken AS SELECT * FROM nothing_like_it", "view broken"),
]


def test_verify_finds(daemon, filled, tmp_path):
    """Goal: each sort of damage is found by the check that is there for it, with a sentence."""
    daemon.stop()
    copy = tmp_path / "copy.db"
    for statement, check in DAMAGE:
        shutil.copy(daemon.database, copy)
        damage(copy, statement)
        found = verify(daemon, copy)
        assert not found[check]["good"], (statement, found)
        assert len(found[check]["detail"]) > 20
    text = foxtrackrctl(daemon, "verify", copy, check=False).stdout
    assert [line for line in text.splitlines() if "BAD" in line and "view broken" in line]


def test_verify_finds_damaged_pages(broker, daemon, filled):
    """Goal: pages that a disk has spoiled are found, and the rest is still told."""
    fleet.play(broker, messages=3000, seed=2)
    daemon.wait_received(filled.messages + 3000)
    daemon.stop()
    pages = [page for page, in query(daemon.database, "SELECT pageno FROM dbstat WHERE name = 'battery' AND pagetype = 'leaf'")]
    assert len(pages) > 4
    with open(daemon.database, "r+b") as file:  # not the schema: without it nothing is told
        for page in pages[::2]:
            file.seek((page - 1) * 4096)
            file.write(b"\xa5" * 300)
    found = verify(daemon)
    assert not found["integrity"]["good"]
    assert "backup" in found["integrity"]["detail"]


def test_verify_what_is_no_database(daemon, tmp_path):
    """Goal: of a file that the command line names, no sentence speaks of the configuration; of the
    configured one it does."""
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    for file in (daemon.config, tmp_path, other):
        done = foxtrackrctl(daemon, "verify", file, check=False)
        assert done.returncode == 1 and "; name the database or a backup of it" in done.stdout, done
        assert "database.path" not in done.stdout
        for words in (["export", "fleet"], ["report", "-o", "page.html"], ["plot", "battery", "--device", "1"]):
            done = foxtrackrctl(daemon, *words, file, check=False)
            assert "; name the database or a backup of it" in done.stderr, done
    daemon.configure(database={"path": str(other)})
    assert "correct database.path" in foxtrackrctl(daemon, "verify", check=False).stdout


def test_verify_another_file(daemon, filled, tmp_path):
    """Goal: a file that is named is looked at instead; what is no database of ours is BAD."""
    backup = tmp_path / "backup.db"
    foxtrackrctl(daemon, "backup", backup)
    found = verify(daemon, backup)
    assert str(backup) in found["database"]["detail"] and list(found) == CHECKS
    other = tmp_path / "other.db"
    other.write_text("Dear diary")
    found = verify(daemon, other)
    assert list(found) == ["database"] and not found["database"]["good"]
    assert other.read_text() == "Dear diary"
    assert not verify(daemon, tmp_path / "none.db")["database"]["good"]
    daemon.stop()
