"""The system's clock is an input like any other: ahead, behind, jumping."""

import os
import re
import subprocess
import time

import pytest

import fleet
from foxtrackrd import foxtrackrctl
from harness import change, check_sound, make_clock, query, value, wait_until

DAY_MS = 86_400_000
YEAR_S = 365 * 86_400


def play_now(broker, **options):
    return fleet.play(broker, end_ms=fleet.now_ms(), **options)


def wait_passes(daemon, clock_free_s=5):
    """Long enough for retention's pass at the start: it has looked at every device by then."""
    until = time.monotonic() + clock_free_s
    while time.monotonic() < until:
        assert daemon.status()["database"]["expired"] == 0, daemon.log_tail()
        time.sleep(0.1)


@pytest.mark.long
def test_clock_ahead_deletes_nothing(broker, make_daemon, clock):
    """
    Goal: with retention_days = 365 and a clock two years ahead for a while at the start, every row is
    still there.
    """
    daemon = make_daemon(broker).start()
    manifest = play_now(broker, messages=500)
    broker.publish("foxtrackr/g/V3.0/bat", "{")
    daemon.wait_received(manifest.messages + 1)
    daemon.stop()

    daemon.environment = clock.environment
    daemon.configure(database={"retention_days": 365, "retention_days_quarantine": 365})
    clock.set_ahead(2 * YEAR_S)
    daemon.start()
    wait_passes(daemon)
    # Messages of now, and one of a device that has the wrong time too.
    second = play_now(broker, messages=100, seed=7)
    broker.publish("foxtrackr/ahead/V3.0/bat",
                   fleet.battery("ahead", fleet.now_ms() + 2 * YEAR_S * 1000))
    daemon.wait_received(manifest.messages + second.messages + 2)
    daemon.reload()
    wait_passes(daemon, 2)
    clock.set_ahead(0)
    daemon.reload()
    wait_passes(daemon, 2)
    daemon.stop()
    assert value(daemon.database, "SELECT count(*) FROM expired") == 0
    assert value(daemon.database, "SELECT count(*) FROM quarantine WHERE reason = 'json'") == 1
    check_sound(daemon.database)


def test_more_than_half_of_a_table_waits(broker, make_daemon):
    """
    Goal: a pass that would delete more than half of a table says so, with table, rows and date, waits,
    and shows that it waits; a reload is no way round it, and a limit that takes less ends it.
    """
    daemon = make_daemon(broker).start()
    now = fleet.now_ms()
    for days in (100, 90, 80, 1, 0):
        broker.publish("foxtrackr/o1/V3.0/bat", fleet.battery("o1", now - days * DAY_MS))
    for days in (100, 0):
        broker.publish("foxtrackr/o1/V3.0/temp", fleet.temperature("o1", now - days * DAY_MS))
    daemon.wait_rows(7)
    daemon.configure(database={"retention_days": 30})
    daemon.reload()
    line = daemon.wait_log("warning: database.retention_days: about to delete")
    assert " 3 rows of battery from before 20" in line and "more than half" in line, line
    # A deletion of at most half of a table does not wait.
    wait_until(lambda: value(daemon.database, "SELECT count(*) FROM temperature") == 1,
               what="the old temperature to go")
    status = daemon.wait_status(lambda s: s["database"]["retention_waits"])
    assert status["database"]["retention_waits"].startswith("3 rows of battery from before 20")
    assert 3_500_000 < status["database"]["retention_waits_left_ms"] <= 3_600_000
    assert "retention waits" in status["text"]
    assert "retention waits" in foxtrackrctl(daemon, "status").stdout

    before = daemon.log().count("about to delete")
    for _ in range(3):
        daemon.reload()
    wait_until(lambda: daemon.log().count("reloaded") >= 4, what="the reloads")
    again = daemon.wait_status(lambda s: s["database"]["retention_waits_left_ms"]
                               != status["database"]["retention_waits_left_ms"])
    assert again["database"]["retention_waits_left_ms"] \
        < status["database"]["retention_waits_left_ms"]
    assert daemon.log().count("about to delete") == before
    assert value(daemon.database, "SELECT count(*) FROM battery") == 5

    daemon.configure(database={"retention_days": 95})
    daemon.reload()
    wait_until(lambda: value(daemon.database, "SELECT count(*) FROM battery") == 4,
               what="what is older than 95 days to go")
    daemon.wait_status(lambda s: s["database"]["retention_waits"] == "")
    daemon.stop()


@pytest.mark.long
def test_backlog_of_a_clock_behind_becomes_rows(broker, make_daemon, clock):
    """
    Goal: a first start with a clock two years behind puts a backlog into quarantine; as soon as the
    clock is right every message is a row, with nobody's help and once, and retention of quarantine
    takes none of it, nor what came with it.
    """
    clock.set_ahead(-2 * YEAR_S)
    daemon = make_daemon(broker, database={"retention_days": 365, "retention_days_quarantine": 30})
    daemon.environment = clock.environment
    daemon.start()
    manifest = play_now(broker, messages=400)
    broker.publish("foxtrackr/g/V3.0/bat", "{")
    daemon.wait_received(manifest.messages + 1)
    assert value(daemon.database, "SELECT count(*) FROM quarantine WHERE reason = 'time'") > 300

    clock.synchronise()
    daemon.wait_log("notice: .* messages of quarantine.* are in their tables", 40)
    assert value(daemon.database, "SELECT count(*) FROM quarantine WHERE reason = 'time'") == 0
    daemon.reload()                     # retention looks at once
    status = daemon.wait_status(lambda s: s["database"]["rejudged"] > 300)
    assert status["database"]["quarantine_entries"] == 1
    wait_passes(daemon, 2)
    assert value(daemon.database, "SELECT count(*) FROM quarantine WHERE reason = 'json'") == 1
    assert query(daemon.database, "SELECT received, quarantined > 300 FROM runs") == [
        (manifest.messages + 1, 1)]
    daemon.stop()
    change(daemon.database, "DELETE FROM quarantine WHERE topic LIKE '%/g/%'")
    manifest.check(daemon.database)
    check_sound(daemon.database)


def test_clock_that_jumps_for_a_moment_makes_no_rows(broker, make_daemon, clock):
    """
    Goal: a clock that is two years ahead for a moment, or for a whole run, makes no row of a message
    of the future, neither deletes anything; foxtrackrctl replay is still the operator's to decide.
    """
    daemon = make_daemon(broker, database={"retention_days": 365, "retention_days_quarantine": 30})
    daemon.environment = clock.environment
    daemon.start()
    manifest = play_now(broker, messages=100)
    for device in ("x", "y"):
        broker.publish(f"foxtrackr/{device}/V3.0/bat",
                       fleet.battery(device, fleet.now_ms() + 700 * DAY_MS))
    daemon.wait_received(manifest.messages + 2)
    clock.set_ahead(2 * YEAR_S)
    wait_passes(daemon, 3)
    clock.set_ahead(0)
    wait_passes(daemon, 2)
    daemon.stop()
    clock.set_ahead(2 * YEAR_S)
    daemon.start()
    wait_passes(daemon, 3)
    assert value(daemon.database, "SELECT count(*) FROM quarantine WHERE reason = 'time'") == 2
    assert daemon.status()["database"]["rejudged"] == 0
    done = foxtrackrctl(daemon, "replay", "--reason", "time",
                        env={**os.environ, **clock.environment})
    assert done.returncode == 0, done.stderr
    assert value(daemon.database, "SELECT count(*) FROM quarantine WHERE reason = 'time'") == 0
    daemon.stop()


def test_clock_set_right_between_two_runs(broker, make_daemon, clock):
    """
    Goal: the same where the daemon is killed before the clock is right: the next start judges before
    retention looks.
    """
    clock.set_ahead(-2 * YEAR_S)
    daemon = make_daemon(broker, database={"retention_days": 365, "retention_days_quarantine": 30})
    daemon.environment = clock.environment
    daemon.start()
    manifest = play_now(broker, messages=400)
    daemon.wait_received(manifest.messages)
    daemon.kill()
    clock.synchronise()
    daemon.start()
    wait_until(lambda: value(daemon.database,
                             "SELECT count(*) FROM quarantine WHERE reason = 'time'") == 0,
               what="the messages to become rows")
    daemon.stop()
    assert value(daemon.database, "SELECT count(*) FROM expired") == 0
    manifest.check(daemon.database)


@pytest.mark.long
def test_time_moves_on(broker, make_daemon, clock):
    """Goal: a message a little too early is a row when its time has come, without a jump."""
    clock.synchronise()
    daemon = make_daemon(broker, parser={"max_future": "1h"})
    daemon.environment = clock.environment
    daemon.start()
    broker.publish("foxtrackr/e/V3.0/bat", fleet.battery("e", fleet.now_ms() + 3_600_000 + 4_000))
    broker.publish("foxtrackr/e/V3.0/bat", fleet.battery("e", fleet.now_ms() + 9 * 3_600_000))
    broker.publish("foxtrackr/e/V3.0/bat", fleet.battery("e", 1000))
    daemon.wait_received(3)
    daemon.stop()
    daemon.start()                      # its first pass knows when the next is due
    wait_until(lambda: value(daemon.database, "SELECT count(*) FROM battery") == 1, 90,
               what="its time to come", every=0.5)
    assert value(daemon.database, "SELECT count(*) FROM quarantine") == 2
    daemon.stop()


def test_replay_judges_by_the_present(broker, make_daemon, clock):
    """Goal: foxtrackrctl replay moves what was in the future only by the clock of its arrival."""
    clock.set_ahead(-2 * YEAR_S)
    daemon = make_daemon(broker)
    daemon.environment = clock.environment
    daemon.start()
    manifest = play_now(broker, messages=100)
    daemon.wait_received(manifest.messages)
    waits = value(daemon.database, "SELECT count(*) FROM quarantine WHERE reason = 'time'")
    assert waits > 50
    done = foxtrackrctl(daemon, "replay", "--reason", "time")    # by the true clock
    assert done.returncode == 0, done.stderr
    assert value(daemon.database, "SELECT count(*) FROM quarantine WHERE reason = 'time'") == 0
    daemon.stop()
    manifest.check(daemon.database)


@pytest.mark.parametrize("synced", [False, True])
def test_clock_behind_at_the_start(broker, make_daemon, tmp_path, synced):
    """
    Goal: a clock that is earlier than what the database holds is said at once and loudly, and status
    is not well; messages of now are rows all the same, and nothing is deleted, until it is right. A
    clock that is reported as synchronised is believed.
    """
    clock = make_clock(tmp_path, synced)
    daemon = make_daemon(broker, database={"retention_days": 1})
    daemon.environment = clock.environment
    daemon.start()
    manifest = play_now(broker, messages=50)
    daemon.wait_received(manifest.messages)
    daemon.stop()

    clock.set_ahead(-2 * YEAR_S)
    daemon.start()
    if synced:
        assert "earlier than" not in daemon.log()
        assert daemon.status()["clock_behind"] is False
        daemon.stop()
        return
    daemon.wait_log("^err: .*clock says 20.*earlier than 20")
    status = daemon.wait_status(lambda s: s["state"] == "clock behind")
    assert status["clock_behind"] is True and status["clock_least_ms"] >= fleet.now_ms() - 60_000
    said = foxtrackrctl(daemon, "status", check=False, env={**os.environ, **clock.environment})
    assert said.returncode == 1 and "clock behind" in said.stdout and not said.stderr, said
    broker.publish("foxtrackr/now/V3.0/bat", fleet.battery("now", fleet.now_ms()))
    daemon.wait_rows(manifest.row_count + 1)
    assert value(daemon.database, "SELECT count(*) FROM quarantine WHERE reason = 'time'") == 0
    assert value(daemon.database, "SELECT min(received_ms) FROM battery") > fleet.now_ms() - 120_000
    daemon.kill()
    daemon.start()                      # that of the last run is no excuse
    daemon.wait_log("^err: .*clock says 20.*earlier than 20")

    clock.set_ahead(60)
    daemon.wait_log("clock says 20.* believed again")
    daemon.wait_status(lambda s: s["state"] == "subscribed" and not s["clock_behind"])
    foxtrackrctl(daemon, "status")
    daemon.stop()
    check_sound(daemon.database)


def test_clock_that_jumps_leaves_the_runs_in_order(broker, make_daemon, clock):
    """Goal: whatever the clock does, no run ends before it starts, nor starts before the last message
    of the run before it; no message is received before another that came earlier."""
    daemon = make_daemon(broker)
    daemon.environment = clock.environment
    for ahead in (0, -YEAR_S, 100, -2 * YEAR_S):
        clock.set_ahead(ahead)
        daemon.start()
        broker.publish("foxtrackr/r/V3.0/bat", fleet.battery("r", fleet.now_ms()))
        daemon.wait_rows(1 + value(daemon.database, "SELECT max(run) - 1 FROM runs"))
        status = daemon.wait_status(lambda s: s["counts"]["received"] == 1)
        assert not re.search(r"\s-\d", status["text"]), status["text"]
        daemon.stop()
    runs = query(daemon.database, "SELECT started_ms, stopped_ms FROM runs ORDER BY run")
    assert all(started <= stopped for started, stopped in runs), runs
    assert [run[0] for run in runs] == sorted(run[0] for run in runs), runs
    received = [t for (t,) in query(daemon.database, "SELECT received_ms FROM battery ORDER BY time_ms")]
    assert received == sorted(received)
    assert foxtrackrctl(daemon, "verify").returncode == 0
