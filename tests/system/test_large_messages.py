"""
Messages far over parser.max_payload: the daemon keeps their beginning, length and digest, and never
the whole, so that a broker cannot decide how much memory it takes.
"""

import hashlib

import pytest

import broker as brokers
import fleet
from harness import (
    SANITIZED, check_sound, count_received, find_program, has_adapted_paho, query, run, wait_until)
from left_out import NO_MATTER
from memory_limit import memory_limit
from relay import Relay

pytestmark = pytest.mark.long

MIB = 1 << 20
KEPT = 256 << 10
"""parser.max_payload as it is by default."""

PEAK_MIB = 96
TOPIC = "foxtrackr/l{}/V3.0/bat"


@pytest.fixture(autouse=True)
def adapted():
    if not has_adapted_paho():
        pytest.skip(NO_MATTER + "the shared library holds every message as a whole")


def peak_mib(daemon):
    """The most memory that the daemon's process has had in RAM."""
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def assert_peak(daemon):
    peak = peak_mib(daemon)
    print(f"peak memory: {peak:.0f} MiB")
    if not SANITIZED:  # which keeps what was freed
        assert peak <= PEAK_MIB


def in_clear(broker):
    """Keys of a connection without TLS."""
    return {"port": broker.plain_port, "tls": "no", "ca_file": None}


both_protocols = pytest.mark.parametrize("protocol", ["3.1.1", "5"])


def assert_oversize(daemon, payload, number):
    """There is exactly one entry of this topic, and it is of this payload, which came once."""
    [row] = query(daemon.database, """SELECT payload, reason, detail, occurrences FROM quarantine
                                      WHERE topic = ?""", TOPIC.format(number))
    assert row[0] == payload[:KEPT] and row[1] == "oversize" and row[3] == 1
    assert f"of {len(payload)} bytes" in row[2] and hashlib.sha256(payload).hexdigest() in row[2]


@pytest.mark.parametrize("protocol, tls", [("5", True), ("3.1.1", False)],
                         ids=["5-tls", "3.1.1-clear"])
@pytest.mark.limit(300)
def test_message_of_200_mib_and_what_is_behind_it(broker, make_daemon, protocol, tls):
    """
    Goal: a message of 200 MiB passes with less memory than a service with a limit of 128 MiB has, and
    the queue behind it arrives.
    """
    keys = {"protocol": protocol, **({} if tls else in_clear(broker))}
    daemon = make_daemon(broker, broker=keys).start()
    daemon.stop()
    payload = b"[0123456789abcdef" * (200 * MIB // 17)
    broker.publish(TOPIC.format(1), payload)
    manifest = fleet.play(broker, messages=500)
    daemon.start(wait="ready")
    daemon.wait_received(1 + manifest.messages, 200)
    assert_peak(daemon)
    daemon.stop()
    assert_oversize(daemon, payload, 1)
    assert query(daemon.database, "SELECT sum(received), sum(quarantined) FROM runs") == [(501, 1)]
    check_sound(daemon.database)


@both_protocols
@pytest.mark.limit(300)
def test_message_of_200_mib_under_a_limit_of_128(broker, make_daemon, protocol):
    """
    Goal: a service whose memory the kernel limits is not killed for a message that is larger than the
    limit. A daemon that held the whole would be killed, and again whenever the broker sends it again.
    """
    if SANITIZED:
        pytest.skip(NO_MATTER + "a sanitizer takes more memory than the daemon")
    with memory_limit(128 * MIB) as limit:
        limit.check(128 * MIB)
        daemon = make_daemon(broker, broker={"protocol": protocol}).start()
        daemon.stop()
        payload = b"[0123456789abcdef" * (200 * MIB // 17)
        broker.publish(TOPIC.format(1), payload)
        manifest = fleet.play(broker, messages=500)
        daemon.wrapper = limit.wrapper
        daemon.start(wait="ready")
        assert limit.has(daemon.process.pid)
        daemon.wait_received(1 + manifest.messages, 200)
        assert_peak(daemon)
        daemon.stop()
    assert_oversize(daemon, payload, 1)
    assert query(daemon.database, "SELECT sum(received), sum(quarantined) FROM runs") == [(501, 1)]
    check_sound(daemon.database)


@both_protocols
def test_large_messages_of_each_quality_of_service(broker, make_daemon, protocol):
    """Goal: with QoS 0 and 1, too, the beginning, the length and the digest of the whole are stored."""
    daemon = make_daemon(broker, broker={"protocol": protocol}).start()
    payloads = [bytes([65 + qos]) * (3 * MIB + qos) for qos in range(3)]
    for qos, payload in enumerate(payloads):
        broker.publish(TOPIC.format(qos), payload, qos=qos)
    broker.publish(TOPIC.format("after"), fleet.battery("after", fleet.now_ms(), 3.5))
    daemon.wait_received(4)
    daemon.stop()
    for qos, payload in enumerate(payloads):
        assert_oversize(daemon, payload, qos)
    check_sound(daemon.database)


@both_protocols
def test_sigkill_in_the_middle_of_a_large_message(broker, make_daemon, protocol):
    """Goal: half of a message is nothing; it comes again after the start, and is stored once."""
    relay = Relay(broker)
    try:
        daemon = make_daemon(relay, broker={"protocol": protocol}).start()
        daemon.stop()
        payload = b"0123456789abcdef" * (2 * MIB)
        broker.publish(TOPIC.format(1), payload)
        manifest = fleet.play(broker, messages=100)
        for part in (MIB, 9 * MIB, 31 * MIB):
            relay.allow(part)
            daemon.start(wait=None)
            wait_until(relay.is_used_up, 60, f"{part} bytes to pass\n{daemon.log_tail()}")
            daemon.kill()
            assert count_received(daemon.database) == 0
        relay.allow(None)
        daemon.start(wait="ready")
        daemon.wait_received(1 + manifest.messages)
        daemon.stop()
    finally:
        relay.close()
    assert_oversize(daemon, payload, 1)
    assert query(daemon.database, "SELECT sum(received) FROM runs") == [(101,)]
    check_sound(daemon.database)


@both_protocols
def test_many_large_messages_in_flight(make_broker, make_daemon, protocol):
    """Goal: what is in flight at once costs the daemon no more than the beginnings of the messages."""
    count = 200
    broker = make_broker(max_inflight=count)
    daemon = make_daemon(broker, broker={"protocol": protocol}).start()
    daemon.stop()
    lines = [f"{number:06}".encode() * (MIB // 6) for number in range(count)]
    run(find_program("mosquitto_pub"), "-h", "127.0.0.1", "-p", broker.plain_port,
        "-u", brokers.PUBLISHER, "-P", brokers.PUBLISHER_PASSWORD, "-t", TOPIC.format(1), "-q", 2, "-l",
        input=b"\n".join(lines) + b"\n", text=False)
    daemon.start(wait="ready")
    daemon.wait_received(count)
    assert_peak(daemon)
    daemon.stop()
    details = query(daemon.database, "SELECT detail FROM quarantine WHERE reason = 'oversize'")
    expected = {hashlib.sha256(line).hexdigest() for line in lines}
    assert {detail.rsplit(" ", 1)[1] for detail, in details} == expected and len(details) == count
    check_sound(daemon.database)
