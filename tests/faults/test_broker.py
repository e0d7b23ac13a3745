"""The oracle can fail: small clients that keep the promise, and small ones that break it."""

import contextlib
import hashlib
import pathlib
import sqlite3
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import messages  # noqa: E402
import mqtt  # noqa: E402
import oracle  # noqa: E402
from broker import Fault, FaultBroker  # noqa: E402
from ledger import Ledger  # noqa: E402
from small_client import Client  # noqa: E402

SCHEMA = sorted((pathlib.Path(__file__).resolve().parents[2] / "schema" / "sqlite").glob("0*.sql"))
SEED = 11


def store(database, message):
    """Store a message as the daemon would."""
    database.execute("INSERT OR IGNORE INTO runs(run, started_ms, version) VALUES (1, 0, 'test')")
    if oracle.is_quarantine(message):
        digest = oracle.quarantine_digest(message.topic, message.payload)
        changed = database.execute(
            "INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?, ?, '', 0, 0, 1)",
            (digest, message.topic, message.payload, message.expect[1])).rowcount
        counter = "quarantined"
    else:
        row = message.expect
        database.execute("INSERT OR IGNORE INTO devices(family, device_id, first_seen_ms)"
                         " VALUES ('foxtrackr', ?, 0)", (row.device,))
        values = dict(row.values, time_ms=row.time_ms, message_type=7, received_ms=0)
        if row.table == "messages":
            values.update(version="V3.0", digest=hashlib.sha256(message.payload).digest())
        changed = database.execute(
            f"INSERT OR IGNORE INTO {row.table}(device, {', '.join(values)}) SELECT device, "
            f"{', '.join('?' * len(values))} FROM devices WHERE device_id = ?",
            (*values.values(), row.device)).rowcount
        counter = "stored"
    counter = counter if changed else "duplicate"
    database.execute(f"UPDATE runs SET received = received + 1, {counter} = {counter} + 1")


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "test.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for migration in SCHEMA:
            connection.executescript(migration.read_text())
    return path


@pytest.fixture
def broker(tmp_path):
    made = FaultBroker(tmp_path / "broker", window=5).start()
    yield made
    made.close()


def connect(broker, database, sent, **options):
    client = Client(broker, database, store=store, **options)
    client.known = {(m.topic, m.payload): m for m in sent}
    return client


both_versions = pytest.mark.parametrize("version", mqtt.VERSIONS)


def prepare(broker, database, count=50):
    sent = messages.make(count, SEED, garbage=0.2)
    broker.witness = oracle.Witness(database, sent)
    broker.publish(sent)
    return sent


@both_versions
def test_good_client_passes(broker, database, version):
    """Goal: a client that stores and then acknowledges passes every check."""
    sent = prepare(broker, database)
    client = connect(broker, database, sent, version=version)
    client.serve(lambda: broker.drained)
    client.die()
    assert oracle.check_crash(database, broker.ledger, sent) == len(sent)
    assert oracle.check_final(database, sent) == len(sent)
    assert broker.witness.looked_up == len(sent)
    oracle.check_not_early(broker.ledger)
    assert broker.ledger.oddities == []


@both_versions
def test_client_that_acknowledges_first_is_caught(broker, database, version):
    """Goal: PUBREC before the row is there fails the crash check, the final one and the witness."""
    sent = prepare(broker, database)
    client = connect(broker, database, sent, early=True, version=version)
    client.serve(lambda: len(broker.ledger.acknowledged) >= 3)
    client.store(client.seen[0][2])     # too late, and only the first
    client.die()
    with pytest.raises(oracle.Broken, match=r"message \d+ (has no row|is not in quarantine)"):
        oracle.check_crash(database, broker.ledger, sent)
    with pytest.raises(oracle.Broken):
        oracle.check_final(database, sent)
    with pytest.raises(oracle.Broken, match="message 0 was acknowledged and is not"):
        oracle.check_not_early(broker.ledger)


@pytest.mark.parametrize("harm, complaint", [
    ("UPDATE battery SET voltage_v = voltage_v + 0.001", "has voltage_v"),
    ("DELETE FROM temperature WHERE time_ms = (SELECT max(time_ms) FROM temperature)",
     "the runs say|has no row"),
    ("INSERT INTO battery SELECT device, 1, 1, 1, 7, NULL, 0 FROM devices LIMIT 1",
     "the runs say|never sent"),
    ("UPDATE quarantine SET payload = x'00'", "is in quarantine as"),
    ("UPDATE quarantine SET reason = 'topic' WHERE reason = 'json'", "is in quarantine as"),
])
def test_wrong_content_is_caught(database, harm, complaint):
    """Goal: a wrong value, a missing row, a stranger's row: each fails the final check."""
    sent = messages.make(60, SEED, garbage=0.3)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for message in sent:
            store(connection, message)
        assert oracle.check_final(database, sent) == len(sent)
        connection.execute(harm)
    with pytest.raises(oracle.Broken, match=complaint):
        oracle.check_final(database, sent, counts=False)


LAST_DEVICE = 4294967295


@pytest.fixture
def catch_up(database):
    """
    The middle of a catch-up of 60 messages, each sent once and acknowledged: of the lot that is
    being sorted in (0 to 39) the first twenty are done, and the next one is being filled.
    """
    sent = messages.make(60, SEED, garbage=0.3)
    ledger = Ledger()
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for message in sent:
            connection.execute("INSERT INTO inbox VALUES (?, ?, 'id-a-01', ?, ?, 1)", (
                message.number + 1, LAST_DEVICE, message.topic.decode(), message.payload))
            ledger.note_sent(message.number, False)
            ledger.note_acknowledged(message.number)
        for message in sent[:20]:
            store(connection, message)
        connection.execute("UPDATE inbox_position SET first_n = 1, last_n = 40, device = ?, n = 20",
                           (LAST_DEVICE,))
        yield connection, sent, ledger


def test_what_waits_in_the_inbox_is_there(database, catch_up):
    """Goal: a message that waits counts after a crash and for the witness, and not at the end."""
    connection, sent, ledger = catch_up
    assert oracle.check_crash(database, ledger, sent) == len(sent)
    assert oracle.Witness(database, sent)([m.number for m in sent]) == []
    with pytest.raises(oracle.Broken, match="60 rows are left in the inbox, of which 40 wait"):
        oracle.check_final(database, sent, ledger=ledger)
    for message in sent[20:]:
        store(connection, message)
    connection.execute("DELETE FROM inbox")
    assert oracle.check_final(database, sent, ledger=ledger) == len(sent)


LOST = r"message \d+ (has no row|is not in quarantine)"
TWICE = r"message \d+ was sent 1 times and is there 2 times"


@pytest.mark.parametrize("harm, complaint", [
    ("DELETE FROM inbox WHERE n = 50", LOST),
    ("DELETE FROM inbox WHERE n = 21", LOST),
    ("UPDATE inbox SET payload = x'7b7d' WHERE n = 50", LOST),
    ("UPDATE inbox SET topic = 'foxtrackr/other/V3.0/bat' WHERE n = 50", LOST),
    ("UPDATE inbox_position SET n = n + 1", LOST),
    ("UPDATE inbox_position SET last_n = 60, n = 41", LOST),
    ("UPDATE inbox_position SET first_n = 42", LOST),
    ("UPDATE inbox_position SET n = n - 1", TWICE),
    ("UPDATE inbox_position SET first_n = 41, last_n = 40, n = 0; UPDATE inbox SET n = n + 100",
     TWICE),
    ("UPDATE runs SET received = received + 1, duplicate = duplicate + 1",
     "60 were sent; the runs have received 21, and 40 wait"),
    ("DELETE FROM inbox_position", "inbox_position has 0 rows"),
])
def test_wrong_inbox_is_caught(database, catch_up, harm, complaint):
    """Goal: what is lost in the inbox, or sorted in a second time, fails the crash check."""
    connection, sent, ledger = catch_up
    connection.executescript(harm)
    with pytest.raises(oracle.Broken, match=complaint):
        oracle.check_crash(database, ledger, sent)
    early = oracle.Witness(database, sent)([m.number for m in sent])
    assert bool(early) == (complaint == LOST or "DELETE" in harm)


def test_counting_twice_is_caught(database):
    """Goal: rows are idempotent; a message that was sorted in twice shows in the counters."""
    sent = messages.make(20, SEED, garbage=0)
    ledger = Ledger()
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for message in sent + sent[:1]:
            store(connection, message)
    for message in sent:
        ledger.note_sent(message.number, False)
    with pytest.raises(oracle.Broken, match="20 were sent; the runs have received 21"):
        oracle.check_final(database, sent, ledger=ledger)
    ledger.note_sent(0, True)
    assert oracle.check_final(database, sent, ledger=ledger) == len(sent)


@both_versions
def test_redelivery(broker, database, version):
    """Goal: after a cut what is not acknowledged comes again, in order, with DUP, same ids."""
    sent = prepare(broker, database)
    broker.script(Fault("pubrec", "cut", number=4))
    first = connect(broker, database, sent, version=version)
    with pytest.raises(ConnectionError):
        first.serve(lambda: broker.drained)
    first.die()
    assert 3 in broker.ledger.acknowledged      # it was read, although the session ignores it
    second = connect(broker, database, sent, version=version)
    assert second.present
    second.serve(lambda: broker.drained)
    assert [(pid, dup, m.number) for pid, dup, m in second.seen[:2]] == [(4, True, 3), (5, True, 4)]
    assert [m.number for _, _, m in second.seen] == list(range(3, len(sent)))
    assert oracle.check_final(database, sent) == len(sent)


@both_versions
def test_session_outlives_the_broker(broker, database, version):
    """Goal: a stopped broker keeps the session in its file; a new one goes on with it."""
    sent = prepare(broker, database)
    client = connect(broker, database, sent, version=version)
    client.serve(lambda: len(client.seen) >= 7)
    client.die()
    broker.stop()
    other = FaultBroker(broker.directory, window=5).start()
    client = connect(other, database, sent, version=version)
    assert client.present
    client.serve(lambda: other.drained)
    client.die()
    other.close()
    assert oracle.check_final(database, sent) == len(sent)


def test_messages_follow_from_the_seed():
    """Goal: the same seed gives the same messages, another one others."""
    def made(seed):
        return [(m.topic, m.payload, m.expect) for m in messages.make(200, seed)]
    assert made(1) == made(1) != made(2)
