"""
The daemon against each broker: what that does with a backlog, with restarts, a lost session, a filter
that is not allowed, QoS 2 and shared subscriptions. The README's table says it, and each test ends with
a look at its cell there.
"""

import contextlib
import json
import os
import random
import re

import pytest

import table
from client import Client, Closed
from harness import check_sound, count_received, count_rows, query, slow_disk, value, wait_until
from left_out import NO_MATTER

COUNT = 3000
BASE_MS = 1_764_400_000_000
SLOW = {"database": {"batch_max": 20}}
"""A drain that takes a while: 20 messages to a commit, and commits of some milliseconds."""
SYNC_US = 5000
TURNS = int(os.environ.get("FOXTRACKR_TURNS", "6"))
"""How often test_versions_in_turn kills the daemon."""


def messages(server, begin, end):
    """(topic, payload) of the readings with these numbers; each has a time of its own."""
    return [(f"foxtrackr/d{number % 50:02}/{server.version_level}/bat", json.dumps({
        "messageType": 1, "deviceId": f"d{number % 50:02}", "version": 3, "timeMs": BASE_MS + number,
        "battery": {"voltage": 3.9}}).encode()) for number in range(begin, end)]


def publish(server, begin, end):
    """Publish readings; returns when the broker has acknowledged them."""
    publisher = Client(server, f"publisher-{begin}", clean=True, limit_s=120)
    publisher.publish(messages(server, begin, end), server.publish_qos)
    publisher.disconnect()


def stored(daemon):
    """The numbers of the readings in the table, sorted; one that is there twice comes twice."""
    return [number for number, in query(
        daemon.database, "SELECT time_ms - ? FROM battery ORDER BY 1", BASE_MS)]


def gaps(daemon):
    """The number of rows in gaps, for whatever reason."""
    return value(daemon.database, "SELECT count(*) FROM gaps") or 0


def losses(daemon):
    """
    Rows that say that the broker has lost the session. A broker that stops may leave a CONNECT
    unanswered, for which there is a row that says "session uncertain".
    """
    return value(daemon.database, "SELECT count(*) FROM gaps WHERE reason = 'session lost'") or 0


def check_exactly(daemon, begin, end):
    """Each reading is one row, and nothing else is there."""
    assert stored(daemon) == list(range(begin, end))
    assert count_rows(daemon.database) == end - begin
    check_sound(daemon.database)


def check_protocol(server, daemon):
    """The daemon says which version it speaks, and it is the right one."""
    asked = daemon.sections["broker"]["protocol"]
    speaks = "5" if asked == "auto" and 5 in server.versions else "3.1.1"
    assert f"localhost:{server.port} with MQTT {speaks}," in daemon.log()


def queue(server, daemon):
    """The daemon was here before, and now the broker keeps a backlog for it."""
    daemon.start()
    daemon.stop()
    publish(server, 0, COUNT)


def wait_middle(daemon):
    """Until some of the backlog is durable; it is not all of it yet."""
    wait_until(lambda: count_received(daemon.database) >= COUNT // 10, 60, daemon.log_tail)
    assert count_received(daemon.database) < COUNT, "it was too fast to be interrupted"


def wait_end(daemon):
    """
    Wait until the whole backlog is there, or a row in gaps and then nothing more for a while. Returns
    the number of rows. A broker may take its time to send again: NATS 30 s.
    """
    wait_until(lambda: count_rows(daemon.database) >= COUNT or losses(daemon), 150, daemon.log_tail)
    seen = [-1]

    def rests():
        seen.append(count_rows(daemon.database))
        return seen[-1] == seen[-2]

    wait_until(rests, 120, "the rows to rest", every=3)
    return seen[-1]


def test_version(server):
    """Goal: the table speaks of the version that is tried."""
    assert re.search(rf"(?<![0-9.]){re.escape(server.name.split()[-1])}$", server.version().strip())
    assert server.name in table.read()


def test_backlog(server, make_daemon):
    """Goal: every message of a backlog is one row."""
    daemon = make_daemon()
    queue(server, daemon)
    daemon.start()
    daemon.wait_rows(COUNT, 120)
    daemon.stop()
    check_exactly(daemon, 0, COUNT)
    assert gaps(daemon) == 0
    check_protocol(server, daemon)
    table.check(server, "a backlog of 3,000", "once")


def test_change_of_protocol(server, make_daemon):
    """
    Goal: the daemon goes on with its session, and with what waits there, after broker.protocol was
    changed, and changed back. Nothing is in gaps.
    """
    daemon = make_daemon()
    first = daemon.sections["broker"]["protocol"]
    daemon.start()
    daemon.stop()
    for number, asked in enumerate(("auto" if first == "3.1.1" else "3.1.1", first)):
        publish(server, 20 * number, 20 * number + 20)
        daemon.configure(broker={"protocol": asked})
        daemon.start()
        daemon.wait_rows(20 * number + 20)
        daemon.stop()
        check_protocol(server, daemon)
        assert "the broker has kept the session" in daemon.log()
    check_exactly(daemon, 0, 40)
    assert gaps(daemon) == 0


def test_kill(server, make_daemon):
    """
    Goal: after kill -9 of the daemon in the middle of a backlog every message is one row. NATS may close
    a CONNECT that comes before it has noticed the end of the connection before: "session uncertain".
    """
    daemon = make_daemon(**SLOW)
    queue(server, daemon)
    daemon.environment = slow_disk(sync_us=SYNC_US)
    for _ in range(2):
        before = count_received(daemon.database)
        daemon.start(wait=None)
        wait_until(lambda: count_received(daemon.database) >= before + 200, 60, daemon.log_tail)
        daemon.kill()
    assert count_received(daemon.database) < COUNT, "it was too fast to be interrupted"
    daemon.start()
    daemon.wait_rows(COUNT, 120)
    daemon.stop()
    check_exactly(daemon, 0, COUNT)
    assert losses(daemon) == 0
    table.check(server, "`kill -9` of the daemon", "once")


def test_versions_in_turn(server, make_daemon):
    """
    Goal: kill -9 of the daemon in the middle of a backlog, and the other version of MQTT at the next
    start, again and again; a broker that keeps its queue is restarted in between, too. Every message is
    one row, and nothing is in gaps.
    """
    if 5 not in server.versions:
        pytest.skip(f"{NO_MATTER}{server.name} does not speak MQTT 5")
    keeps = table.read()[server.name]["restart of the broker"] == "once"
    daemon = make_daemon(**SLOW)
    turns = ["auto", "3.1.1"] if daemon.sections["broker"]["protocol"] == "3.1.1" else ["3.1.1", "auto"]
    chance = random.Random(TURNS)
    queue(server, daemon)
    daemon.environment = slow_disk(sync_us=SYNC_US)
    sent = COUNT
    for number in range(TURNS):
        daemon.configure(broker={"protocol": turns[number % 2]})
        wanted = count_rows(daemon.database) + chance.randrange(1, 200)
        daemon.start(wait=None)
        wait_until(lambda: count_rows(daemon.database) >= wanted, 60, daemon.log_tail, every=0.002)
        daemon.kill()
        check_protocol(server, daemon)
        if keeps and number % 2:
            server.stop()
            server.start()
        begin, sent = sent, max(sent, count_rows(daemon.database) + COUNT)
        publish(server, begin, sent)
    assert count_rows(daemon.database) < sent, "it was too fast to be interrupted"
    daemon.start()
    daemon.wait_rows(sent, 120)
    daemon.stop()
    check_exactly(daemon, 0, sent)
    assert gaps(daemon) == 0


def test_restart_of_the_broker(server, make_daemon):
    """
    Goal: the broker stops in the middle of a backlog and starts again. Every message is one row, or the
    broker has lost its queue, and a row in `gaps` says so; the session lives on either way.
    """
    daemon = make_daemon(**SLOW)
    queue(server, daemon)
    daemon.environment = slow_disk(sync_us=SYNC_US)
    daemon.start(wait=None)
    wait_middle(daemon)
    server.stop()
    server.start()
    daemon.wait_subscribed(90)
    rows = wait_end(daemon)
    assert len(set(stored(daemon))) == len(stored(daemon)) == rows
    told = losses(daemon)
    publish(server, COUNT, COUNT + 10)
    daemon.wait_rows(rows + 10)
    daemon.stop()
    check_sound(daemon.database)
    table.check(server, "restart of the broker", "lost, told in `gaps`" if told else "once")


def test_session_lost(server, make_daemon):
    """Goal: the broker has forgotten the session while the daemon was away: one row in gaps."""
    daemon = make_daemon()
    daemon.start()
    publish(server, 0, 10)
    daemon.wait_rows(10)
    daemon.stop()
    server.forget()
    daemon.start()
    publish(server, 10, 20)
    daemon.wait_rows(20)
    daemon.stop()
    check_exactly(daemon, 0, 20)
    assert gaps(daemon) == 1
    table.check(server, "session lost", "told in `gaps`")


def test_refused_filter(server, make_daemon):
    """
    Goal: one of two filters is not allowed. The log names it, or says that the broker closes the
    connection instead of answering SUBSCRIBE. The other filter works either way.
    """
    daemon = make_daemon(session={"filters": "foxtrackr/#, forbidden/#"})
    daemon.start(wait=None)
    line = daemon.wait_log("forbidden/#", 40)
    if "ended the connection instead" in line:
        how = "closes the connection"
    else:
        assert "refuses the subscription" in line
        daemon.wait_status(lambda s: s["sessions"][0]["state"] == "partly subscribed")
        how = "is refused"
    publish(server, 0, 10)
    daemon.wait_rows(10)
    daemon.stop()
    check_exactly(daemon, 0, 10)
    assert gaps(daemon) <= 1
    table.check(server, "a filter that is not allowed", how)


def test_granted_qos(server, make_daemon):
    """Goal: the daemon asks for QoS 2, and says what it got."""
    daemon = make_daemon(session={"qos": 2})
    daemon.start(wait=None)
    status = daemon.wait_status(
        lambda s: s.get("sessions") and s["sessions"][0]["filters"][0]["granted_qos"] is not None)
    granted = status["sessions"][0]["filters"][0]["granted_qos"]
    if granted < 2:
        daemon.wait_log("session.qos = 1")
    daemon.stop()
    assert granted == server.granted_qos
    table.check(server, "granted for QoS 2", granted)


def test_shared(server, make_daemon):
    """
    Goal: two daemons on one share. Either each message comes to one of them, and both get some, or the
    table says what the broker does instead.
    """
    both = [make_daemon(session={"filters": "$share/fleet/foxtrackr/#"}) for _ in range(2)]
    for daemon in both:
        daemon.start(wait=None)
    for daemon in both:
        daemon.wait_log("subscribed to .share|refuses the subscription|ended the connection instead", 60)
    refused = [daemon for daemon in both if "subscribed to $share" not in daemon.log()]
    if refused:
        closed = "ended the connection instead" in refused[0].log()
        how = "closes the connection" if closed else "is refused"
    else:
        publish(server, 0, 100)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: sum(map(lambda one: count_received(one.database), both)) >= 100, 10)
        got = [count_received(daemon.database) for daemon in both]
        how = {100: "works", 0: "is granted, nothing comes"}.get(sum(got), f"{got} of 100")
    for daemon in both:
        daemon.stop()
    table.check(server, "`$share`", how)


def register(server, client_id, version=4):
    """A durable session of this client id, subscribed; it stays at the broker."""
    client = Client(server, client_id, version=version)
    assert client.subscribe("foxtrackr/#", server.granted_qos) == server.granted_qos
    client.disconnect()


@pytest.mark.parametrize("version, title", [(4, "in flight"), (5, "in flight with MQTT 5")],
                         ids=["3.1.1", "5"])
def test_in_flight(server, version, title):
    """Goal: how many messages of a backlog the broker sends before it waits for an acknowledgement. In
    MQTT 5 the client asks for 1,000."""
    if version not in server.versions:
        table.check(server, title, "")
        return
    name = f"id-window-{version}"
    register(server, name, version)
    publish(server, 0, 1500)
    client = Client(server, name, version=version, window=1000)
    found = client.count_in_flight()
    client.die()
    Client(server, name, clean=True).disconnect()
    asked = {1000: "as asked"} if version == 5 else {1500: "all"}
    table.check(server, title, asked.get(found, found))


@pytest.mark.parametrize("version, window", [(4, 20), (5, 1000)], ids=["3.1.1", "5"])
def test_queue_of_mosquitto(server, version, window):
    """
    Goal: what the README says of mosquitto until 2.0.12: a session that comes back gets nearly its whole
    queue in flight when it begins to acknowledge, whatever the window is. Later versions keep to it.
    """
    if not server.name.startswith("mosquitto"):
        pytest.skip(f"{NO_MATTER}the README says it of mosquitto")
    name = f"id-queue-{version}"
    register(server, name, version)
    publish(server, 0, COUNT)
    client = Client(server, name, version=version, window=1000)
    count, peak = client.drain()
    client.die()
    Client(server, name, clean=True).disconnect()
    assert count == COUNT
    assert peak > COUNT // 2 if server.name.endswith(" 2.0.11") else peak <= window


def test_dot_in_a_topic(server):
    """Goal: what becomes of the dot in V3.0. The daemon's rule for it is in [parser]."""
    topic = "foxtrackr/d01/V3.0/bat"
    reader = Client(server, "id-dot", clean=True)
    assert reader.subscribe("foxtrackr/#", server.granted_qos) == server.granted_qos
    publisher = Client(server, "publisher-dot", clean=True)
    try:
        publisher.publish([(topic, b"?")], server.publish_qos)
        came = reader.next_topic()
        found = "kept" if came == topic else f"becomes {came.removeprefix('foxtrackr/d01/')[:4]}"
    except Closed:
        found = "closes the connection"
    publisher.die()
    reader.die()
    table.check(server, "`V3.0` in a topic", found)


def answer_to_5(server):
    """What the broker says to CONNECT of MQTT 5: "" where it speaks it."""
    try:
        client = Client(server, "id-version", version=5, clean=True)
    except Closed:
        return "closes"
    client.die()
    return f"refuses with {client.code}" if client.code else ""


@pytest.mark.parametrize("first, then", [(4, 5), (5, 4)], ids=["from-3.1.1-to-5", "from-5-to-3.1.1"])
def test_session_of_both_versions(server, first, then):
    """
    Goal: a durable session that was made with one version of MQTT goes on with the other, and back: it
    is there, with every message of its queue, and its subscription lives. Else the broker refuses MQTT 5.
    """
    answer = answer_to_5(server)
    assert (5 in server.versions) == (not answer)
    if answer:
        table.check(server, "CONNECT of MQTT 5", answer)
        return
    name = f"id-versions-{first}"
    register(server, name, first)
    for begin, version in ((0, then), (20, first), (40, then)):
        publish(server, begin, begin + 20)
        client = Client(server, name, version=version)
        assert client.present and client.code == 0
        assert sorted(client.take(20)) == sorted(
            payload for _, payload in messages(server, begin, begin + 20))
        publish(server, 100 + begin, 100 + begin + 3)
        assert len(client.take(3)) == 3
        client.disconnect()
    table.check(server, "CONNECT of MQTT 5", "goes on with the session")
