"""Messages in the inbox are as safe as rows in the tables, and become rows by themselves."""

import re
import sqlite3

import pytest

import fleet
import harness
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import (FLEET, SANITIZED, check_sound, count_waiting, query, run, slow_disk, small_disk,
                     value, wait_until)
from left_out import NO_MATTER

DAY_MS = 86_400_000
BEFORE = "id-before-07"
"""The session of what waits when a test begins, which is none of the daemon's."""


def make_database(daemon):
    """A database, and a session at the broker."""
    daemon.start()
    daemon.stop()


def leave_in_inbox(daemon, messages):
    """Leave so many messages in the inbox as a crash in a catch-up does, of a fleet of its own. Returns
    their manifest."""
    path = daemon.directory / "before.jsonl"
    printed = run(FLEET, "--print", "--messages", messages, "--devices", 300, "--seed", 7,
                  "--manifest", path, "--end-ms", fleet.now_ms() - 30 * DAY_MS).stdout
    rows = [line.split("\t", 1) for line in printed.splitlines()]
    assert len(rows) == messages
    with sqlite3.connect(daemon.database) as connection:
        connection.executemany(
            "INSERT INTO inbox SELECT ?, 4294967295, ?, ?, CAST(? AS BLOB), ?",
            ((number, BEFORE, topic, payload, fleet.now_ms())
             for number, (topic, payload) in enumerate(rows, 1)))
    connection.close()
    return fleet.Manifest(path)


def check_all(daemon, *manifests):
    """Every row is there once, nothing waits, and every message was counted once."""
    whole = fleet.Manifest(*(manifest.path for manifest in manifests))
    whole.check(daemon.database)
    whole.check_counts(daemon.database)
    check_sound(daemon.database)
    assert query(daemon.database, "SELECT count(*) FROM inbox") == [(0,)]
    assert "BAD" not in foxtrackrctl(daemon, "verify").stdout


@pytest.fixture
def slow(daemon):
    """A daemon that takes its time over what waits: each batch sorts one message, and its commit
    takes 2 ms or more, so that 20,000 messages wait for 40 s at least."""
    daemon.configure(database={"batch_max": 1})
    make_database(daemon)
    daemon.environment = slow_disk(sync_us=2000)
    return daemon


def go_on_fast(daemon):
    daemon.environment = {}
    daemon.configure(database={"batch_max": None})
    daemon.start()
    wait_until(lambda: count_waiting(daemon.database) == 0, what="an inbox with nothing in it")


def give_every_device_a_page(path, manifest):
    """So that a batch changes as many pages as it has messages, as after months: with readings that
    are deleted in the end."""
    devices = sorted({row["device"] for row in manifest.rows if "device" in row})
    extra = '{"filler": "%s"}' % ("x" * 900)
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO devices (family, device_id, first_seen_ms)"
                               " VALUES ('foxtrackr', ?, 0)", ((one,) for one in devices))
        for table in ("battery", "temperature"):
            connection.execute(
                f"INSERT INTO {table} (device, time_ms, message_type, extra, received_ms)"
                " SELECT device, n.value, 1, ?, 0 FROM devices, json_each('[1,2,3,4]') AS n", (extra,))
    connection.close()


def take_pages_away(path):
    with sqlite3.connect(path) as connection:
        for table in ("battery", "temperature"):
            connection.execute(f"DELETE FROM {table} WHERE time_ms < 5")
            connection.execute(f"DELETE FROM {table}_days WHERE day = 0")
        connection.execute("DELETE FROM rollup_dirty WHERE day = 0")
    connection.close()


@pytest.fixture
def broker(make_broker):
    """A broker with so large a window that a slow machine is fast enough for the inbox, too: 2,048
    messages have to come within half a second."""
    return make_broker(max_inflight=3000)


def drain_a_backlog(broker, daemon):
    """That of many devices, fast enough for the inbox. Returns its manifest."""
    daemon.configure(database={"durability": "normal", "batch_max": 500})
    make_database(daemon)
    manifest = fleet.play(broker, messages=8800, devices=1200, garbage=100, other=60)
    give_every_device_a_page(daemon.database, manifest)
    daemon.start()
    daemon.wait_received(manifest.messages)
    wait_until(lambda: count_waiting(daemon.database) == 0, what="an inbox with nothing in it")
    daemon.stop()
    take_pages_away(daemon.database)
    return manifest


@pytest.mark.skipif(SANITIZED, reason=f"{NO_MATTER}too slow to be a catch-up for the inbox")
def test_a_backlog_goes_through_the_inbox(broker, daemon):
    """
    Goal: a backlog of many devices is taken by the inbox, and everything is in the tables soon
    after, garbage byte for byte in quarantine; each message is counted once.
    """
    manifest = drain_a_backlog(broker, daemon)
    if harness.has_adapted_paho():  # the shared one may hand messages over too slowly for an inbox
        assert value(daemon.database, "SELECT last_n FROM inbox_position") > 1000
    check_all(daemon, manifest)


def test_no_inbox_on_a_small_disk(broker, make_daemon, tmp_path):
    """
    Goal: where the room of the inbox is not free, the same backlog goes to its tables at once.
    """
    with small_disk(tmp_path / "disk", "200m") as disk:
        daemon = make_daemon(broker, database={"path": disk / "foxtrackr.db", "min_free_mb": 0})
        manifest = drain_a_backlog(broker, daemon)
        assert value(daemon.database, "SELECT last_n FROM inbox_position") == 0
        check_all(daemon, manifest)


def test_killed_while_messages_wait(broker, slow):
    """
    Goal: kill -9 while an inbox is sorted in and messages arrive: the next process goes on where
    it was, and each message is there once.
    """
    before = leave_in_inbox(slow, 5000)
    new = fleet.play(broker, messages=1000, devices=200)
    for _ in range(3):
        left = count_waiting(slow.database)
        done = value(slow.database, "SELECT sum(received) FROM runs")
        slow.start(wait=None)
        slow.wait_received(done + 100)
        slow.kill()
        assert count_waiting(slow.database) > 0
        assert left + 1000 > count_waiting(slow.database)
        check_sound(slow.database)
    go_on_fast(slow)
    slow.wait_received(6000)
    slow.stop()
    whole = fleet.Manifest(before.path, new.path)
    whole.check(slow.database)
    check_sound(slow.database)
    assert query(slow.database, "SELECT count(*) FROM inbox") == [(0,)]
    assert value(slow.database, "SELECT sum(stored) FROM runs") == 6000


def test_sorted_in_without_a_broker(broker, slow):
    """Goal: after kill -9 what waits comes into the tables though no broker is there."""
    before = leave_in_inbox(slow, 3000)
    broker.stop()
    slow.start(wait=None)
    slow.wait_received(100)
    slow.kill()
    assert count_waiting(slow.database) > 0
    slow.environment = {}
    slow.configure(database={"batch_max": None})
    slow.start(wait=None)
    slow.wait_received(3000)
    slow.stop()
    check_all(slow, before)


def test_stopped_while_messages_wait(broker, slow):
    """Goal: a stop does not wait for the inbox, says what it leaves, and nothing of that is lost."""
    before = leave_in_inbox(slow, 20000)
    slow.start(wait="ready")
    slow.wait_received(100)
    slow.stop()
    left = count_waiting(slow.database)
    assert left > 0
    assert re.search(rf"\b{left} messages stay in the inbox", slow.log())
    assert value(slow.database, "SELECT stopped_ms FROM runs ORDER BY run DESC LIMIT 1") is not None
    go_on_fast(slow)
    slow.stop()
    check_all(slow, before)


def test_backup_and_status_while_messages_wait(broker, slow, tmp_path):
    """
    Goal: while messages wait, status and verify say how many, and a backup has each message, in
    its table or in its inbox; a daemon makes rows of those.
    """
    before = leave_in_inbox(slow, 20000)
    slow.start()
    slow.wait_received(100)
    slow.wait_status(lambda status: 0 < status["in_inbox"] < 20000)
    said = foxtrackrctl(slow, "status").stdout
    assert re.search(r"^  in the inbox +[0-9]+ messages, on disk", said, re.MULTILINE), said
    copy = tmp_path / "backup.db"
    foxtrackrctl(slow, "backup", copy)
    slow.stop()

    left = count_waiting(copy)
    assert left > 0
    assert value(copy, "SELECT sum(received) FROM runs") + left == 20000
    said = foxtrackrctl(slow, "verify", copy).stdout
    assert re.search(rf"inbox .*\b{left} messages are on their way into the tables", said), said
    slow.configure(database={"path": copy})
    go_on_fast(slow)
    slow.stop()
    check_all(slow, before)


def test_garbage_that_waits_keeps_its_session(broker, daemon, journal):
    """
    Goal: what cannot be understood goes from the inbox to quarantine byte for byte, and its line in
    the journal names the session through which it came; an empty payload and a topic of no device
    that is known do no harm.
    """
    make_database(daemon)
    with sqlite3.connect(daemon.database) as connection:
        connection.executemany(
            "INSERT INTO inbox VALUES (?, 4294967295, ?, ?, ?, 1700000000000)",
            [(1, BEFORE, "foxtrackr/g1/V3.0/bat", b"{\x00'\xff"),
             (2, BEFORE, "foxtrackr/nobody/V3.0/what", b""),
             (3, CLIENT_ID, "foxtrackr/g3/V3.0/bat", b"[]")])
    connection.close()
    daemon.configure(log={"target": "journal"})
    daemon.wrapper = journal.prefix()
    daemon.start()
    daemon.wait_received(3)
    daemon.stop()
    assert query(daemon.database, "SELECT topic, payload, reason, last_received_ms FROM quarantine"
                 " ORDER BY topic") == [
        ("foxtrackr/g1/V3.0/bat", b"{\x00'\xff", "encoding", 1700000000000),
        ("foxtrackr/g3/V3.0/bat", b"[]", "envelope", 1700000000000),
        ("foxtrackr/nobody/V3.0/what", b"", "empty", 1700000000000)]
    assert {(one["SESSION"], one["REASON"]) for one in journal.entries()
            if "REASON" in one} == {(BEFORE, "encoding"), (BEFORE, "empty"),
                                    (CLIENT_ID, "envelope")}


def test_old_rows_go_while_messages_wait(slow):
    """Goal: retention goes on while there is something to sort in: a catch-up can last for hours."""
    leave_in_inbox(slow, 20000)                 # of a month ago
    with sqlite3.connect(slow.database) as connection:
        connection.execute("INSERT INTO devices VALUES (70000, 'foxtrackr', 'old', 1)")
        for days in (100, 20):                  # more than half of a table would wait
            connection.execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
                " INSERT INTO battery SELECT 70000, ?1 - i, 3.7, 50, 5, NULL, ?1 FROM n",
                (fleet.now_ms() - days * DAY_MS,))
    connection.close()
    slow.configure(database={"batch_max": 1, "retention_days": 1})
    slow.start(wait=None)
    wait_until(lambda: value(slow.database, "SELECT sum(row_count) FROM expired"),
               what="the first old row to be deleted")
    assert count_waiting(slow.database) > 0
