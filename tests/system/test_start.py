"""Starting and stopping."""

import json
import os
import pathlib
import signal
import sqlite3
import stat
import time

import pytest

import harness
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import SANITIZED, check_sound, query, run, value, wait_until
from left_out import NO_MATTER

TABLES = {"devices", "device_groups", "battery", "temperature", "messages", "quarantine", "gaps",
          "runs", "expired", "sessions", "subscriptions", "limits"}
VIEWS = {"battery_latest", "temperature_latest", "fleet", "battery_daily", "temperature_daily", "battery_trend",
         "reporting_gaps", "coverage_daily", "silent_devices", "temperature_excursions", "group_daily", "fleet_daily",
         "quarantine_summary", "usual_intervals", "days"}


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

    daemon.stop()

    assert "STOPPING=1" in daemon.notifications.lines()
    assert query(database, "SELECT count(*) FROM runs WHERE stopped_ms >= started_ms") == [(1,)]
    wal = database.with_name(database.name + "-wal")
    assert not wal.exists() or wal.stat().st_size == 0, "the WAL was not moved into the database"
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


@pytest.mark.long
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

    daemon.stop()


def test_sigterm_before_ready(make_broker, make_daemon):
    """Goal: a stop right after the start, whatever the daemon is doing then, is a clean stop."""
    broker = make_broker()
    daemon = make_daemon(broker)
    for pause in (0.02, 0.05, 0.1, 0.2):
        daemon.start(wait=None)
        daemon.wait_log("starting")
        time.sleep(pause)  # not a wait for anything: a different moment each time
        daemon.stop()
    daemon.start()  # it may never have come as far as its tables
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


def test_new_schema_is_said(broker, daemon):
    """
    Goal: whoever watches an update sees that the database changes, also systemd, which must wait for
    it; a new database is not worth a word; foxtrackrctl says what to do before it has happened.
    """
    migrations = sorted((harness.ROOT / "schema" / "sqlite").glob("[0-9]*.sql"))
    database = sqlite3.connect(daemon.database)
    database.executescript(migrations[0].read_text())
    database.executescript(f"PRAGMA application_id = {0x464f5854}; PRAGMA user_version = 1;"
                           "INSERT INTO devices VALUES (1, 'foxtrackr', 'x1', 1);"
                           "INSERT INTO messages VALUES (1, 'gps', 2, 'V3.0', 7, '{}', x'00', 3);")
    database.close()
    checked = foxtrackrctl(daemon, "check", check=False)
    assert "schema version 1" in checked.stdout and "start foxtrackrd once" in checked.stdout

    daemon.start()
    daemon.wait_log(r"^notice: database: bringing its schema from version 1 to 2: 1 row to write anew")
    daemon.wait_log(rf"^notice: database: its schema is now version {len(migrations)}")
    assert [s for s in daemon.notifications.statuses() if "schema version 1 to 2: " in s]
    assert [s for s in daemon.notifications.lines() if s.startswith("EXTEND_TIMEOUT_USEC=1")]
    daemon.stop()
    assert harness.value(daemon.database, "SELECT body FROM messages") == "{}"

    for path in daemon.directory.glob("foxtrackr.db*"):
        path.unlink()
    daemon.start()
    daemon.stop()
    assert "its schema" not in daemon.log()


def blocks(pid, number):
    """True if the process blocks this signal."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigBlk:"))
    return mask >> (number - 1) & 1 == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["umask", "configuration", "password"])
def test_a_signal_in_the_first_milliseconds(make_daemon, broker, number, moment):
    """
    Goal: a signal to stop that comes before the configuration is read is no crash: exit 0, and
    no database has been made.
    """
    # The signal comes with a system call of the daemon's own.
    inject = {"umask": ["-e", f"inject=umask:signal={int(number)}"],
              "configuration": ["-e", f"inject=openat,open:signal={int(number)}", "-P", "CONFIG"],
              "password": ["-e", f"inject=openat,open:signal={int(number)}", "-P", "PASSWORD"]}[moment]
    daemon = make_daemon(broker)
    daemon.environment = harness.sanitizer("detect_leaks=0")
    daemon.wrapper = [
        "strace", "-qq", "-o", "/dev/null",
        *(str({"CONFIG": daemon.config, "PASSWORD": daemon.password_path}.get(one, one))
          for one in inject)]
    daemon.start(wait=None)
    assert daemon.wait_exit() == 0, daemon.log()
    assert "before anything was begun" in daemon.log()
    assert not daemon.database.exists()


def test_sighup_in_the_first_milliseconds(make_daemon, broker):
    """Goal: a reload that comes before the configuration is read kills nothing."""
    daemon = make_daemon(broker)
    daemon.environment = harness.sanitizer("detect_leaks=0")
    daemon.wrapper = ["strace", "-qq", "-o", "/dev/null", "-e", "inject=umask:signal=HUP"]
    daemon.start(wait=None)
    daemon.wrapper = ()
    daemon.wait_log("reloaded")
    tracer = daemon.process
    child = int(pathlib.Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text().split()[0])
    os.kill(child, signal.SIGTERM)
    assert daemon.wait_exit() == 0


def test_a_signal_at_any_moment(make_daemon, broker):
    """Goal: from the moment on that signals are blocked, SIGTERM ends in exit 0, whatever goes on."""
    daemon = make_daemon(broker)
    for step in range(20):
        daemon.start(wait=None)
        pid = daemon.process.pid
        wait_until(lambda: blocks(pid, signal.SIGTERM), every=0)
        time.sleep(step * 0.004)  # no synchronisation: a sample of moments
        daemon.stop()
    daemon.start()  # it may never have come as far as its tables
    daemon.stop()
    check_sound(daemon.database)


def test_a_configuration_that_is_a_pipe(make_daemon, broker):
    """Goal: a daemon that could not be stopped while it reads a pipe does not read one."""
    daemon = make_daemon(broker)
    daemon.config.unlink()
    os.mkfifo(daemon.config)
    daemon.start(wait=None)
    code = daemon.wait_exit()
    daemon.config.unlink()
    assert code == 78 and "regular file" in daemon.log()


ENVIRONMENT_SHIM = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void check(void)
{
    static const char text[] = "the environment is changed beside other threads\n";
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    while (readdir(tasks) != NULL) {
        count++;
    }
    closedir(tasks);
    if (count > 3) {
        (void)!write(2, text, sizeof(text) - 1);
        abort();
    }
}

int unsetenv(const char *name)
{
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unsetenv");

    check();
    return real(name);
}

int setenv(const char *name, const char *value, int overwrite)
{
    int (*real)(const char *, const char *, int) =
        (int (*)(const char *, const char *, int))dlsym(RTLD_NEXT, "setenv");

    check();
    return real(name, value, overwrite);
}
"""


@pytest.mark.skipif(SANITIZED,
                    reason=f"{NO_MATTER}a sanitizer insists on being the first library")
def test_the_environment_is_changed_before_any_thread(make_daemon, broker, tmp_path):
    """Goal: getenv() of a thread never reads an environment that another one changes."""
    source = tmp_path / "shim.c"
    source.write_text(ENVIRONMENT_SHIM)
    shim = tmp_path / "shim.so"
    run("cc", "-shared", "-fPIC", "-o", shim, source, "-ldl")
    daemon = make_daemon(broker, environment={"LD_PRELOAD": str(shim), "no_proxy": "*"})
    daemon.start()
    daemon.stop()
    assert "beside other threads" not in daemon.log()
