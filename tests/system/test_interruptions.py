"""Whatever ends in the middle of a catch-up, nothing is lost and nothing is there twice."""

import random

import pytest

import fleet
from harness import check_sound, count_rows, count_waiting, query, wait_until
from relay import Relay

INTERRUPTIONS = 5
PART_BYTES = 250_000
PART_MESSAGES = 500
"""So much of the backlog comes before each interruption, a ninth of it: more than PART_MESSAGES."""


@pytest.fixture
def relay(broker):
    made = Relay(broker)
    yield made
    made.close()


@pytest.fixture
def daemon(make_daemon, relay):
    return make_daemon(relay, database={"batch_max": 50})  # many commits, so many moments to be hit


@pytest.fixture
def backlog(broker, daemon):
    """The broker keeps several thousand messages for the daemon, which is not running."""
    daemon.start()
    daemon.stop()
    return fleet.play(broker, messages=9000, garbage=160, other=160)


def count_stored(path):
    """The number of messages on disk, in their tables or in the inbox: it grows with every commit."""
    return count_rows(path) + count_waiting(path)


def interrupt(relay, daemon, manifest, end):
    """
    Start the daemon and end it in the middle of the catch-up, five times. Each time it is seen
    that something has come and that not all of it has.
    """
    chance = random.Random(20210930)
    for number in range(INTERRUPTIONS):
        before = count_stored(daemon.database)
        threshold = before + chance.randrange(1, PART_MESSAGES)
        relay.allow(PART_BYTES)
        daemon.start(wait=None)
        wait_until(lambda: count_stored(daemon.database) >= threshold, 60, every=0.001,
                   what=lambda: f"{threshold} stored\n{daemon.log_tail()}")
        end(daemon)
        after = count_stored(daemon.database)
        assert before < after < manifest.row_count, \
            f"interruption {number} was not in the middle: {before} stored before, {after} after"
        check_sound(daemon.database)
    relay.allow(None)


def finish(broker, daemon, manifest):
    """Let the rest arrive; then everything must be there, and the broker must have nothing left."""
    daemon.start()
    daemon.wait_rows(manifest.row_count)
    # Every row is there before the last message is acknowledged, and a slow broker needs a while.
    daemon.wait_status(lambda status: status["counts"]["received"] > 0 and status["pending"] == 0
                       and status["sessions"][0]["in_flight"] == 0)
    daemon.stop()
    manifest.check(daemon.database)
    check_sound(daemon.database)

    daemon.start()
    now = fleet.now_ms()
    broker.publish("foxtrackr/last/V3.0/bat", fleet.battery("last", now))
    daemon.wait_rows(manifest.row_count + 1)
    daemon.stop()
    assert query(daemon.database, "SELECT received, stored FROM runs ORDER BY run DESC LIMIT 1") \
        == [(1, 1)], "the broker sent something again that had been acknowledged"


def test_five_sigterms_in_the_middle(broker, relay, daemon, backlog):
    """Goal: a stop in the middle of a catch-up loses nothing, ends in time and with status 0."""
    interrupt(relay, daemon, backlog, lambda d: d.stop())
    assert query(daemon.database, "SELECT count(*) FROM runs WHERE stopped_ms IS NULL") == [(0,)]
    finish(broker, daemon, backlog)
    assert query(daemon.database, "SELECT * FROM gaps") == []


def test_five_sigkills_in_the_middle(broker, relay, daemon, backlog):
    """Goal: kill -9 at any moment: every published message is there once, whatever was under way."""
    interrupt(relay, daemon, backlog, lambda d: d.kill())
    finish(broker, daemon, backlog)
    killed = query(daemon.database, "SELECT count(*) FROM runs WHERE stopped_ms IS NULL")
    assert killed == [(INTERRUPTIONS,)]


def test_broker_restarts_in_the_middle(broker, relay, daemon, backlog):
    """Goal: a broker that saves its state and comes back is drained to the end, without help."""
    relay.allow(PART_BYTES)
    daemon.start()
    wait_until(lambda: count_stored(daemon.database) >= PART_MESSAGES, 60)
    broker.restart()
    assert count_stored(daemon.database) < backlog.row_count
    relay.allow(None)
    daemon.wait_rows(backlog.row_count)
    daemon.wait_status(lambda status: status["sessions"][0]["connects"] == 2)
    daemon.stop()

    backlog.check(daemon.database)
    check_sound(daemon.database)
    assert query(daemon.database, "SELECT * FROM gaps") == []


def test_messages_that_come_while_it_stops(broker, daemon):
    """Goal: messages published during several stops and starts arrive, each once."""
    daemon.start()
    paths = []
    for number in range(INTERRUPTIONS):
        path = daemon.directory / f"manifest-{number}"
        paths.append(path)
        fleet.play(broker, manifest=path, messages=200, seed=number,
                   end_ms=fleet.now_ms() - 8 * 86_400_000 * number)
        daemon.stop()
        daemon.start(wait=None)
        daemon.wait_ready()
    manifest = fleet.Manifest(*paths)
    daemon.wait_rows(manifest.row_count)
    daemon.stop()

    manifest.check(daemon.database)
    check_sound(daemon.database)
