"""Starting and stopping."""

import json
import os
import stat
import time

from foxtrackrd import CLIENT_ID
from harness import PATIENCE, check_sound, query, value, wait_until

TABLES = {"devices", "device_groups", "battery", "temperature", "messages", "quarantine", "gaps",
          "runs", "sessions", "subscriptions"}
VIEWS = {"battery_latest", "temperature_latest", "fleet", "battery_daily", "temperature_daily"}


def test_first_start_creates_everything_and_sigterm_ends_it(daemon):
    """
    Goal: an empty directory becomes a working database, systemd is told what happens, and SIGTERM
    leaves a closed database behind, within five seconds and with exit status 0.
    """
    daemon.start()

    database = daemon.database
    assert stat.S_IMODE(database.stat().st_mode) == 0o640
    assert value(database, "PRAGMA journal_mode") == "wal"
    names = {kind: {name for k, name in query(database, "SELECT type, name FROM sqlite_schema")
                    if k == kind} for kind in ("table", "view")}
    assert TABLES <= names["table"]
    assert VIEWS <= names["view"]
    assert value(database, "PRAGMA user_version") >= 1
    wait_until(lambda: query(database, "SELECT client_id, filter, qos FROM subscriptions")
               == [(CLIENT_ID, "foxtrackr/#", 2)], what="the row in subscriptions")
    assert query(database, "SELECT stopped_ms FROM runs") == [(None,)]
    assert query(database, "SELECT * FROM gaps") == []

    status = json.loads(daemon.status_path.read_text())
    assert status["state"] == "subscribed"
    assert status["pid"] == daemon.process.pid
    assert [s["client_id"] for s in status["sessions"]] == [CLIENT_ID]
    assert daemon.notifications.lines().count("READY=1") == 1
    daemon.wait_notified("^subscribed")

    took = daemon.stop(timeout=5)

    assert took < 5 * PATIENCE
    assert "STOPPING=1" in daemon.notifications.lines()
    assert query(database, "SELECT count(*) FROM runs WHERE stopped_ms >= started_ms") == [(1,)]
    wal = database.with_name(database.name + "-wal")
    assert not wal.exists() or wal.stat().st_size == 0, "the log was not moved into the database"
    check_sound(database)


def test_second_start_finds_everything(daemon):
    """Goal: a second start adds a run, and nothing else, to the database of the first."""
    daemon.start()
    daemon.stop()
    before = query(daemon.database, "SELECT client_id, filter, qos FROM subscriptions")

    daemon.start()
    daemon.stop()

    assert value(daemon.database, "SELECT count(*) FROM runs") == 2
    assert query(daemon.database, "SELECT client_id, filter, qos FROM subscriptions") == before
    assert query(daemon.database, "SELECT * FROM gaps") == []


def test_ready_comes_without_a_broker_and_the_connection_when_there_is_one(make_broker, make_daemon):
    """
    Goal: a broker that is away does not fail the unit. READY comes after about fifteen seconds
    with a status that says why there is no connection and when the next try is; when the broker
    starts, the daemon connects by itself.
    """
    broker = make_broker(start=False)
    daemon = make_daemon(broker).start(wait=None)

    said = daemon.wait_notified(r"refused.*(next try|retry|again) in \d+")
    assert f"localhost:{broker.tls_port}" in said
    daemon.wait_ready(timeout=25)
    waited = daemon.notifications.time_of("READY=1") - daemon.started
    assert waited > 5, "READY came before the daemon had given the broker a chance"
    assert daemon.status()["state"] != "subscribed"

    broker.start()
    daemon.wait_subscribed(timeout=60)
    daemon.stop()


def test_sigterm_while_there_is_no_broker(make_broker, make_daemon):
    """Goal: waiting for a broker does not delay the stop."""
    daemon = make_daemon(make_broker(start=False)).start(wait=None)
    daemon.wait_notified("refused")

    daemon.stop(timeout=5)


def test_sigterm_before_ready(make_broker, make_daemon):
    """Goal: a stop right after the start, whatever the daemon is doing then, is a clean stop."""
    broker = make_broker()
    daemon = make_daemon(broker)
    for pause in (0.02, 0.05, 0.1, 0.2):
        daemon.start(wait=None)
        daemon.wait_log("starting")
        time.sleep(pause)  # not a wait for anything: a different moment each time
        daemon.stop()
    check_sound(daemon.database)


def test_second_daemon_on_the_same_database_is_refused(broker, daemon, make_daemon):
    """Goal: two daemons never write to one database; the first does not notice the attempt."""
    daemon.start()
    second = make_daemon(broker, database={"path": daemon.database}, session={"number": "02"})

    second.start(wait=None)
    code = second.wait_exit(20)

    assert code not in (0, None)
    assert str(daemon.database) in second.log()
    assert "another foxtrackrd" in second.log().lower()
    assert daemon.process.poll() is None
    assert value(daemon.database, "SELECT count(*) FROM runs") == 1
    daemon.stop()


def test_watchdog_is_fed(broker, make_daemon):
    """Goal: under WatchdogSec= the daemon gives a sign of life in time, again and again."""
    period_us = 2_000_000
    daemon = make_daemon(broker, environment={"WATCHDOG_USEC": str(period_us)}).start()

    wait_until(lambda: daemon.notifications.lines().count("WATCHDOG=1") >= 3, 10,
               lambda: f"three WATCHDOG=1 among {daemon.notifications.lines()}")
    daemon.stop()


def test_password_by_systemd_credential(broker, make_daemon, tmp_path):
    """Goal: a credential named foxtrackrd.password is as good as password_file."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    daemon = make_daemon(broker, broker={"password_file": None},
                         environment={"CREDENTIALS_DIRECTORY": str(credentials)})
    os.rename(daemon.password_path, credentials / "foxtrackrd.password")

    daemon.start()
    daemon.stop()
