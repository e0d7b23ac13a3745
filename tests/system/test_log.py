"""The daemon's lines in the journal, and how few they are while it works normally."""

import re

import pytest

import fleet
from foxtrackrd import CLIENT_ID
from harness import ROOT, has_adapted_paho, wait_until


def documented_ids():
    """MESSAGE_IDs by what foxtrackrd(8) says of them."""
    page = (ROOT / "daemon" / "foxtrackrd.8").read_text()
    return {what: number for number, what in re.findall(r"^\.It Li ([0-9a-f]{32}) Ta (.+)$", page,
                                                        flags=re.MULTILINE)}


def test_the_journal_gets_fields(broker, make_daemon, journal):
    """
    Goal: what a program wants to find has a field of its own, and the id of its kind of event,
    which foxtrackrd(8) lists; the text says the same to a reader.
    """
    ids = documented_ids()
    daemon = make_daemon(broker, wrapper=journal.prefix(), log={"target": "journal"}).start()
    broker.publish("foxtrackr/12345/V3.0/bat", "{broken")
    broker.restart()
    wait_until(lambda: len(journal.entries(MESSAGE_ID=ids["connected"])) == 2,
               what="two connections in the journal")
    daemon.wait_rows(1)
    daemon.stop()

    assert daemon.log() == "", "what is in the journal is not on standard error"
    entries = journal.entries()
    assert all(entry["SYSLOG_IDENTIFIER"] == "foxtrackrd" for entry in entries)
    assert [entry["PRIORITY"] for entry in entries[:2]] == ["5", "5"]
    assert "starting" in entries[0]["MESSAGE"] and "SESSION" not in entries[0]
    connected, quarantined, lost = (
        journal.entries(MESSAGE_ID=ids[what])[0] for what in
        ("connected", "a message went to quarantine", "not connected, and why"))
    assert (connected["SESSION"], connected["PRIORITY"]) == (CLIENT_ID, "5")
    assert (lost["SESSION"], lost["PRIORITY"]) == (CLIENT_ID, "4")
    assert "connection lost" in lost["MESSAGE"]
    assert journal.entries(SESSION=CLIENT_ID, TOPIC="foxtrackr/#")[0]["PRIORITY"] == "6"
    assert {name: quarantined[name] for name in ("SESSION", "TOPIC", "REASON", "PRIORITY")} == {
        "SESSION": CLIENT_ID, "TOPIC": "foxtrackr/12345/V3.0/bat", "REASON": "json",
        "PRIORITY": "4"}
    assert re.fullmatch(r"quarantined a message on foxtrackr/12345/V3\.0/bat: json: .*line 1.*",
                        quarantined["MESSAGE"])


def test_the_fields_are_the_documented_ones():
    """Goal: the ids in the manual page are those of the program, each with a meaning."""
    header = (ROOT / "daemon" / "base" / "log.h").read_text()
    assert sorted(documented_ids().values()) == sorted(
        re.findall(r'#define LOG_ID_\w+ +"(\w+)"', header))


def test_a_journal_that_goes_away(broker, make_daemon, journal):
    """Goal: without its socket, lines go to standard error: none is lost."""
    daemon = make_daemon(broker, wrapper=journal.prefix(), log={"target": "journal"}).start()
    before = len(journal.entries())
    moved = journal.path.rename(journal.path.with_name("elsewhere"))
    daemon.reload()
    daemon.wait_log("reloaded")
    moved.rename(journal.path)
    daemon.reload()
    wait_until(lambda: len(journal.entries()) == before + 1, what="the journal to be used again")
    daemon.stop()


@pytest.mark.long
def test_a_healthy_daemon_is_quiet(broker, daemon):
    """
    Goal: a month without trouble is a few lines, because their number follows from events and not
    from time or messages: nothing for messages and status, one line a reload, and for each
    interruption the loss, at most one failed attempt, and the return.
    """
    daemon.start()  # the first time it also makes the database and subscribes
    daemon.stop()
    daemon.start()
    daemon.wait_log("connected to")
    start = daemon.log().splitlines()
    # starting, connected; and the shared library has no MQTT 5
    assert len(start) == (2 if has_adapted_paho() else 3), start

    def said():
        return daemon.log().splitlines()[len(start):]

    manifest = fleet.play(broker, messages=5000, days=0.002)
    daemon.wait_received(manifest.messages)
    ticks = len(daemon.notifications.statuses())
    wait_until(lambda: len(daemon.notifications.statuses()) > ticks + 2, what="more status ticks")
    assert said() == []

    for count in range(1, 6):
        daemon.reload()
        assert len(said()) == count and "reloaded" in said()[-1], said()

    for count in range(1, 4):
        before = len(said())
        broker.restart()
        daemon.wait_status(lambda status: status["sessions"][0]["connects"] == count + 1)
        wait_until(lambda: "connected to" in said()[-1] or count > 1, what="the return in the log")
        assert len(said()) - before <= 3, said()
        # The second time within a minute is not worth a line, unless its reason is a new one.
        assert "connection lost" in "\n".join(said()), said()
    assert "connected to" in said()[-1], "the last line is that of the present state"

    before = len(said())
    daemon.stop()
    assert len(said()) - before == 2, said()  # stopping, stopped


def test_a_short_catch_up_is_not_said(broker, daemon):
    """Goal: trackers that report once in a while, older readings first, are no event for the log."""
    now = fleet.now_ms()
    daemon.start()
    start = daemon.log()
    fleet.play(broker, messages=200, days=1, end_ms=now - 3_600_000)
    daemon.wait_notified("catching up")
    broker.publish("foxtrackr/12345/V3.0/bat", fleet.battery("12345", fleet.now_ms()))
    wait_until(lambda: daemon.notifications.statuses()[-1].startswith("subscribed"),
               what="the end of the catch-up")
    assert daemon.log() == start
    daemon.stop()


@pytest.mark.long
def test_a_catch_up_is_said(broker, daemon):
    """Goal: a catch-up that lasts has a line with its rate and the window that is seen."""
    daemon.start()
    reading_ms = fleet.now_ms() - 100 * 86_400_000

    def publish_and_look():
        nonlocal reading_ms
        reading_ms += 60_000
        broker.publish("foxtrackr/c1/V3.0/bat", fleet.battery("c1", reading_ms))
        return re.search(r"^info: catching up: \d+ messages a second, at most (\d+) in flight, readings are ",
                         daemon.log(), re.MULTILINE)

    found = wait_until(publish_and_look, 60, "a line about the catch-up")
    assert 1 <= int(found[1]) <= 1000
    daemon.stop()


@pytest.mark.long
def test_a_catch_up_without_a_connection(broker, daemon):
    """Goal: the broker goes away in the middle of a catch-up: the log says once that it waits, and
    not that no messages come; and nobody estimates how long it takes."""
    daemon.start()
    fleet.play(broker, messages=200, days=1, end_ms=fleet.now_ms() - 3_600_000)
    daemon.wait_notified("catching up")
    broker.stop()
    daemon.wait_log("info: the catch-up waits: (not connected|connecting)|info: catching up: 0 ", 40)
    assert "catching up: 0 messages" not in daemon.log()
    status = daemon.wait_status(lambda s: s["catching_up"])
    assert status["catch_up"]["left_ms"] is None
    broker.start()
    daemon.wait_subscribed()
    daemon.wait_status(lambda s: not s["catching_up"], timeout=30)
    assert len(re.findall("the catch-up waits", daemon.log())) == 1
    daemon.stop()
