"""
The version of MQTT: which one the daemon asks a broker for, what it remembers, and that no session
loses or repeats a message when the version changes.
"""

import contextlib
import random
import re
import signal
import socket

import pytest

import fleet
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import WATCHES_THREADS, change, check_sound, count_rows, count_waiting, query, value, wait_until
from left_out import NO_MATTER
from scripted_broker import ScriptedBroker, mqtt

pytestmark = pytest.mark.usefixtures("mqtt_5")

WEEK_MS = 7 * 86_400_000
GAPS = "SELECT reason FROM gaps"
REMEMBERED = "SELECT protocol FROM sessions"


@pytest.fixture(autouse=True)
def no_leak_check(monkeypatch):
    """As in test_check_connect.py: a thread of Paho's may still be ending."""
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")


class Keeper(ScriptedBroker):
    """
    A broker that keeps sessions: CONNACK says that one is there when its client id had one before. With
    an expiry of 0 it keeps none of MQTT 5.
    refuse_5: instead of a CONNACK that accepts MQTT 5, the bytes to answer with (b"": close), or a
    function of the request that returns them, or None to accept.
    """

    def __init__(self, pki, refuse_5=None, properties=None):
        self.refuse_5 = refuse_5
        self.properties = properties or {}
        self.sessions = set()
        super().__init__(pki, connack=self._connack)

    def _connack(self, version):
        request = self.requests[-1]
        if version == mqtt.MQTT_5 and self.refuse_5 is not None:
            refusal = self.refuse_5(request) if callable(self.refuse_5) else self.refuse_5
            if refusal is not None:
                return refusal
        present = not request["clean_start"] and request["client_id"] in self.sessions
        if version == mqtt.MQTT_5 and self.properties.get("session_expiry_interval") == 0:
            self.sessions.discard(request["client_id"])
        elif not request["clean_start"]:
            self.sessions.add(request["client_id"])
        return mqtt.connack(present=present, version=version,
                            properties=self.properties if version == mqtt.MQTT_5 else None)

    def asked(self):
        """Each CONNECT in short: its version, with a ? when it came with another client id."""
        return [f"{request['version']}{'' if request['client_id'] == CLIENT_ID else '?'}"
                for request in self.requests]


@pytest.fixture(name="keeper")
def fixture_keeper(pki, make_daemon):
    """A function that makes a Keeper and a daemon for it."""
    with contextlib.ExitStack() as stack:
        def make(protocol="auto", **script):
            broker = stack.enter_context(contextlib.closing(Keeper(pki, **script)))
            keys = {"host": "127.0.0.1", "tls": "no", "ca_file": None, "protocol": protocol}
            return broker, make_daemon(broker, broker=keys)
        yield make


def once(daemon):
    """Start the daemon, and stop it when it is subscribed."""
    daemon.start()
    daemon.stop()


def age_the_question(daemon, age_ms):
    """Make the time when MQTT 5 was asked for, on record, an earlier one."""
    change(daemon.database, "UPDATE sessions SET protocol_asked_ms = protocol_asked_ms - ?", age_ms)


# What brokers of MQTT 3.1.1 answer to a CONNECT of MQTT 5.
REFUSALS = {
    "code 1": mqtt.connack(1),
    "0x84": mqtt.connack(0x84, version=mqtt.MQTT_5),
    "nothing": b"",
    "code 0 in two bytes": mqtt.connack(0),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_new_database_finds_the_version(keeper, refusal):
    """
    Goal: at a new database the daemon asks for MQTT 5 with its own client id, and takes MQTT 3.1.1
    in the same attempt where the broker does not speak 5, whichever way it says so. That is
    remembered, and no row in `gaps` comes of it.
    """
    broker, daemon = keeper(refuse_5=refusal)
    once(daemon)
    assert broker.asked() == ["5", "4"]
    assert "with MQTT 3.1.1, the broker" in daemon.log()
    assert query(daemon.database, REMEMBERED) == [(4,)]
    once(daemon)
    assert broker.asked() == ["5", "4", "4"]
    assert query(daemon.database, GAPS) == []


def test_a_broker_of_5(keeper):
    """
    Goal: CONNECT of MQTT 5 has clean start off, the window and the expiry of the configuration, and
    nothing that makes a broker drop messages; status and log say what was agreed on.
    """
    broker, daemon = keeper(properties={"session_expiry_interval": 3600})
    daemon.configure(session={"receive_maximum": 1234, "session_expiry": "2d"})
    daemon.start()
    assert broker.asked() == ["5"]
    assert broker.requests[0]["clean_start"] is False
    assert broker.requests[0]["properties"] == {"session_expiry_interval": 2 * 86_400,
                                                "receive_maximum": 1234}
    assert re.search(r"^warning: .*the broker keeps the session for 1 h 0 min, asked was 2 d",
                     daemon.log(), re.MULTILINE)
    assert ("with MQTT 5, the broker made a new session; window 1234 asked, session expiry 1 h 0 min granted"
            in daemon.log())
    session = daemon.status()["sessions"][0]
    assert session["protocol"] == "5" and session["receive_maximum"] == 1234 and session["session_expiry_told"]
    daemon.stop()
    once(daemon)
    assert broker.asked() == ["5", "5"] and query(daemon.database, REMEMBERED) == [(5,)]


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_known_session_is_asked_about_first(keeper, refusal):
    """
    Goal: a session that was made with MQTT 3.1.1 is not risked to learn the version: a client with
    another id asks. Whatever the answer, there is no row in `gaps`, and a week passes until the next
    question.
    """
    broker, daemon = keeper(protocol="3.1.1", refuse_5=refusal)
    once(daemon)
    daemon.configure(broker={"protocol": "auto"})
    once(daemon)
    assert broker.asked() == ["4", "5?", "4"]
    question = broker.requests[1]
    assert question["client_id"].startswith(f"{CLIENT_ID}-ask-") and question["clean_start"]
    assert question["properties"]["session_expiry_interval"] == 60
    once(daemon)
    assert broker.asked() == ["4", "5?", "4", "4"]

    age_the_question(daemon, WEEK_MS)
    once(daemon)
    assert broker.asked() == ["4", "5?", "4", "4", "5?", "4"]
    broker.refuse_5 = None
    age_the_question(daemon, -WEEK_MS)   # of a clock that was ahead
    once(daemon)
    once(daemon)
    assert broker.asked()[-3:] == ["5?", "5", "5"]
    assert query(daemon.database, GAPS) == []
    assert query(daemon.database, REMEMBERED) == [(5,)]


@pytest.mark.long
@pytest.mark.skipif(WATCHES_THREADS, reason=f"{NO_MATTER}ThreadSanitizer does not see the waits of a preloaded clock")
def test_the_question_of_a_daemon_that_runs_for_weeks(keeper, clock):
    """
    Goal: a week after the broker has refused MQTT 5, by the wall clock, the next connection asks again,
    and none before it. A broker that was upgraded meanwhile is used with MQTT 5 from then on.
    """
    broker, daemon = keeper(refuse_5=mqtt.connack(1))
    connections = []
    broker.subscribed = connections.append
    daemon.environment = clock.environment
    daemon.start()

    def reconnect(days):
        clock.set_ahead(days * 86_400)
        before = len(connections)
        connections[-1].shutdown(socket.SHUT_RDWR)
        wait_until(lambda: len(connections) > before, 60, daemon.log_tail)
        return broker.asked()

    assert broker.asked() == ["5", "4"]
    assert reconnect(6) == ["5", "4", "4"]
    assert reconnect(8) == ["5", "4", "4", "5?", "4"]
    broker.refuse_5 = None
    assert reconnect(14) == ["5", "4", "4", "5?", "4", "4"]
    assert reconnect(16)[6:] == ["5?", "5"]
    assert reconnect(30)[8:] == ["5"]
    daemon.wait_subscribed()
    daemon.stop()
    assert query(daemon.database, REMEMBERED) == [(5,)]
    assert query(daemon.database, GAPS) == []


def test_a_session_that_5_would_end(keeper):
    """
    Goal: a broker has a session that was made with MQTT 3.1.1, and keeps none of MQTT 5 after its
    connection. Its answer to the question shows that, and the session stays. When it keeps them, a
    week later, the daemon goes on with MQTT 5.
    """
    broker, daemon = keeper(protocol="3.1.1", properties={"session_expiry_interval": 0})
    once(daemon)
    daemon.configure(broker={"protocol": "auto"})
    daemon.start()
    assert "the broker speaks MQTT 5, and keeps no session of it" in daemon.log()
    assert daemon.status()["sessions"][0]["protocol_reason"].startswith("the broker keeps no session")
    daemon.stop()
    daemon.start()
    reason = daemon.status()["sessions"][0]["protocol_reason"]
    assert re.search("or promise to keep a session of it, when an earlier run asked", reason)
    daemon.stop()
    assert broker.asked() == ["4", "5?", "4", "4"]
    assert query(daemon.database, REMEMBERED) == [(4,)]
    broker.properties = {}
    age_the_question(daemon, WEEK_MS)
    once(daemon)
    assert broker.asked()[4:] == ["5?", "5"]
    assert query(daemon.database, GAPS) == []


def test_a_broker_that_denies_the_question(keeper):
    """
    Goal: a broker that lets in the clients alone whose ids it knows does not say whether it keeps a
    session of MQTT 5. A session that was made with MQTT 3.1.1 is not risked: that version stays, log
    and status say that the expiry is not known, and a week later the daemon asks again.
    """
    denied = mqtt.connack(0x85, version=mqtt.MQTT_5)
    broker, daemon = keeper(protocol="3.1.1", properties={"session_expiry_interval": 0},
                            refuse_5=lambda said: None if said["client_id"] == CLIENT_ID else denied)
    unknown = "whether the broker keeps a session of MQTT 5 is not known"
    once(daemon)
    daemon.configure(broker={"protocol": "auto"})
    daemon.start()
    assert broker.asked() == ["4", "5?", "4"]
    assert re.search(f"^notice: .*{unknown}.*: MQTT 3.1.1 is used; .*set broker.protocol = 5",
                     daemon.log(), re.MULTILINE)
    session = daemon.status()["sessions"][0]
    assert session["protocol"] == "3.1.1" and session["session_expiry_ms"] is None
    assert session["protocol_reason"].startswith(unknown)
    shown = foxtrackrctl(daemon, "status").stdout
    assert re.search(f"protocol +MQTT 3.1.1; keep alive 60 s\n +{unknown}", shown), shown
    daemon.stop()
    once(daemon)
    age_the_question(daemon, WEEK_MS)
    once(daemon)
    assert broker.asked()[3:] == ["4", "5?", "4"]
    assert query(daemon.database, REMEMBERED) == [(4,)]
    assert query(daemon.database, GAPS) == []


def test_a_broker_that_denies_every_client(keeper):
    """Goal: a wrong password is no answer to the question, and does not delay the next one."""
    broker, daemon = keeper(protocol="3.1.1")
    accept = broker.connack

    def deny_the_second_and_third(version):
        if len(broker.requests) in (2, 3):
            return mqtt.connack(0x86 if version == mqtt.MQTT_5 else 4, version=version)
        return accept(version)

    broker.connack = deny_the_second_and_third
    once(daemon)
    daemon.configure(broker={"protocol": "auto"})
    once(daemon)
    assert broker.asked() == ["4", "5?", "4", "5?", "5"]
    assert "bad user name or password" in daemon.log()
    assert "is not known" not in daemon.log()
    assert query(daemon.database, GAPS) == []


def test_a_broker_that_keeps_no_session_of_5(keeper):
    """
    Goal: at a new database MQTT 5 is asked for with the session's own client id. Where the broker does
    not keep that session, it is left before it is subscribed, and MQTT 3.1.1 is used, also after a
    restart. Nothing could be lost, and no row in `gaps` says so.
    """
    broker, daemon = keeper(properties={"session_expiry_interval": 0})
    daemon.start()
    assert broker.asked() == ["5", "4"] and broker.subscribes == 1
    assert "the broker speaks MQTT 5, and keeps no session of it when its connection ends" in daemon.log()
    assert re.search("^notice: .*connected to .* with MQTT 3.1.1, the broker made a new session",
                     daemon.log(), re.MULTILINE)
    session = daemon.status()["sessions"][0]
    assert session["protocol"] == "3.1.1" and sum(session["lost"].values()) == 0
    assert session["protocol_reason"] == "the broker keeps no session of MQTT 5 when its connection ends"
    daemon.stop()
    assert query(daemon.database, REMEMBERED) == [(4,)]
    once(daemon)
    assert broker.asked() == ["5", "4", "4"]
    assert query(daemon.database, GAPS) == []


def test_a_lost_connect_of_5_is_told(keeper):
    """
    Goal: a broker of MQTT 5 is exchanged for one that closes without an answer. The CONNECT that was
    sent may have made a new session: when MQTT 3.1.1 reaches it, the row "session uncertain" says so.
    """
    broker, daemon = keeper()
    once(daemon)
    broker.refuse_5 = b""
    daemon.start()
    assert broker.asked() == ["5", "5", "5", "4"]
    assert query(daemon.database, GAPS) == [("session uncertain",)]
    daemon.stop()
    once(daemon)
    assert broker.asked() == ["5", "5", "5", "4", "4"]
    assert query(daemon.database, GAPS) == [("session uncertain",)]


def test_a_shorter_keep_alive_of_the_broker(keeper):
    """
    Goal: a broker that wants a keep alive of 3 s gets it: the daemon connects again with it, without
    a loss, and is not closed as dead.
    """
    broker, daemon = keeper(protocol="5", properties={"server_keep_alive": 3})
    daemon.start()
    assert [request["keepalive"] for request in broker.requests] == [60, 3]
    assert "the broker wants a keep alive of 3 s" in daemon.log()
    wait_until(lambda: broker.pings > 1, what="the second PINGREQ")
    status = daemon.status()["sessions"][0]
    assert status["keepalive_s"] == 3 and sum(status["lost"].values()) == 0
    assert query(daemon.database, GAPS) == []
    daemon.stop()


DISCONNECTS = {
    mqtt.SESSION_TAKEN_OVER: "another client uses this client id",
    mqtt.SHUTTING_DOWN: "shutting down",
}


@pytest.mark.parametrize("code", DISCONNECTS)
@pytest.mark.long
def test_a_disconnect_of_the_broker(keeper, code):
    """
    Goal: the broker's DISCONNECT is the reason that log and status show. Only "session taken over"
    points to another client, at once.
    """
    broker, daemon = keeper(protocol="5")

    def end(connection):
        if broker.subscribes <= 4:
            connection.sendall(mqtt.disconnect(code))
        return broker.subscribes > 4

    broker.subscribed = end
    daemon.start(wait=None)
    line = daemon.wait_log(f"connection lost: .*{DISCONNECTS[code]}")
    assert ("session.number" in line) == (code == mqtt.SESSION_TAKEN_OVER)
    wait_until(lambda: broker.subscribes > 4, 60, "the connection that stays")
    daemon.wait_subscribed()
    assert "does another client use this client id?" not in daemon.log()
    assert daemon.status()["sessions"][0]["lost"]["broker"] == 4
    daemon.stop()


def test_check_tells_the_version(keeper):
    """Goal: check shows the versions that are configured, check --connect the one that is used."""
    broker, daemon = keeper(refuse_5=mqtt.connack(1))

    def said(*arguments):
        return foxtrackrctl(daemon, "check", *arguments, check=False).stdout

    assert ", MQTT 5 or 3.1.1, as user" in said()
    assert re.search("protocol +good +MQTT 3.1.1, because the broker does not take MQTT 5: ",
                     said("--connect"))
    assert [version[0] for version in broker.asked()] == ["5", "4"]
    broker.refuse_5 = None
    assert re.search("protocol +good +MQTT 5; window 1000 asked; session expiry 7 d 0 h asked",
                     said("--connect"))
    daemon.configure(broker={"protocol": "5"})
    assert ", MQTT 5, as user" in said()
    daemon.configure(broker={"protocol": "3.1.1"})
    assert re.search("protocol +good +MQTT 3.1.1$", said("--connect"), re.MULTILINE)


@pytest.mark.parametrize("granted_s, said", [
    (None, None),
    (2 * 86_400, None),
    (3600, "keeps a session of MQTT 5 for 1 h 0 min, and 2 d 0 h is asked: .* is lost; "
           ".*set session.session_expiry = 3600s"),
    (0, "keeps no session of MQTT 5 .*2 d 0 h asked.*lost; set broker.protocol = 3.1.1"),
])
def test_check_tells_the_expiry(keeper, granted_s, said):
    """
    Goal: check --connect asks for a session that lasts as long as the configuration says, and warns
    where the broker grants less, with what to do. A session that may last has no subscription, and
    is ended.
    """
    broker, daemon = keeper(
        properties={} if granted_s is None else {"session_expiry_interval": granted_s})
    daemon.configure(session={"session_expiry": "2d"})
    subscribed = []
    broker.subscribed = lambda connection: subscribed.append(len(broker.requests))
    done = foxtrackrctl(daemon, "check", "--connect", check=False)
    assert done.returncode == 0, done.stdout
    assert re.search("protocol +good +MQTT 5; .*session expiry 2 d 0 h asked", done.stdout)
    if said is None:
        assert "expiry  " not in done.stdout
    else:
        assert re.search("^expiry +warn +.*" + said, done.stdout, re.MULTILINE), done.stdout
    expiries = [request["properties"].get("session_expiry_interval", 0) for request in broker.requests]
    assert expiries == [2 * 86_400, 0] and subscribed == [2]
    assert all(request["clean_start"] for request in broker.requests)
    assert {request["client_id"] for request in broker.requests}.isdisjoint({CLIENT_ID})
    ends = mqtt.disconnect(0, {"session_expiry_interval": 0})[2:]
    wait_until(lambda: ends in broker.disconnects, what="the end of the session that may last")


# --- a real broker -----------------------------------------------------------------------------------


def received_in_run(daemon, run_number):
    """Messages that are on disk since this start of the daemon."""
    return value(daemon.database, f"SELECT received FROM runs WHERE run = {run_number}") or 0


@pytest.mark.parametrize("protocol, window", [("3.1.1", 20), ("5", 1000)])
def test_the_window_is_ours(make_broker, make_daemon, protocol, window):
    """
    Goal: mosquitto, with its own window of 20, sends as many messages as MQTT 5 asks it for before
    it waits for an acknowledgement; with MQTT 3.1.1 its 20.
    """
    broker = make_broker(verbose=True)
    daemon = make_daemon(broker, broker={"protocol": protocol})
    daemon.start()
    daemon.process.send_signal(signal.SIGSTOP)
    fleet.play(broker, messages=1500)
    assert broker.count_log(f"Sending PUBLISH to {CLIENT_ID}") == window
    daemon.process.send_signal(signal.SIGCONT)
    daemon.wait_received(1500)
    asked = daemon.status()["sessions"][0]["receive_maximum"]
    assert asked == (1000 if protocol == "5" else None)
    daemon.stop()
    assert query(daemon.database, GAPS) == []


@pytest.mark.limit(240)
@pytest.mark.long
def test_a_session_goes_from_one_version_to_the_other(broker, make_daemon):
    """
    Goal: a session that was made with MQTT 3.1.1 goes on with MQTT 5 and back, through kill -9 of
    the daemon and restarts of the broker: every message is there once, and no gap is noted.
    """
    chance = random.Random(5)
    daemon = make_daemon(broker, broker={"protocol": "3.1.1"}, database={"batch_max": 50})
    once(daemon)
    manifest = fleet.play(broker, messages=6000)
    for number in range(8):
        daemon.configure(broker={"protocol": ("auto", "3.1.1", "5", "3.1.1")[number % 4]})
        daemon.start(wait=None)
        wanted = chance.randrange(1, 400)
        wait_until(lambda: received_in_run(daemon, number + 2) >= wanted, 60,
                   lambda: f"{wanted} messages\n{daemon.log_tail()}", every=0.001)
        daemon.kill()
        check_sound(daemon.database)
        if number % 3 == 2:
            broker.restart()
    assert count_rows(daemon.database) + count_waiting(daemon.database) < manifest.row_count, \
        "the interruptions were not in the middle"
    daemon.configure(broker={"protocol": "auto"})
    daemon.start()
    daemon.wait_rows(manifest.row_count)
    daemon.wait_status(lambda status: status["counts"]["received"] > 0 and status["pending"] == 0
                       and status["sessions"][0]["in_flight"] == 0)
    assert daemon.status()["sessions"][0]["session_present"] is True
    daemon.stop()
    manifest.check(daemon.database)
    check_sound(daemon.database)
    assert query(daemon.database, GAPS) == []
    assert value(daemon.database, REMEMBERED) == 5

    daemon.configure(broker={"protocol": "3.1.1"})
    daemon.start()
    broker.publish("foxtrackr/last/V3.0/bat", fleet.battery("last", fleet.now_ms()))
    daemon.wait_rows(manifest.row_count + 1)
    daemon.stop()
    assert query(daemon.database, "SELECT received, stored FROM runs ORDER BY run DESC LIMIT 1") \
        == [(1, 1)], "the broker sent something again that had been acknowledged"
