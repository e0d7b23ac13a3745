"""SIGHUP: what changes while the daemon runs, what does not, and log rotation."""

import os
import re
import time

import fleet
from harness import query, wait_until

DAY_MS = 86_400_000


def publish_unmapped(broker, time_ms):
    """A message whose voltage has a name that only a mapping makes known."""
    broker.publish("foxtrackr/l1/V3.0/bat",
                   f'{{"messageType":1,"deviceId":"l1","version":3,"timeMs":{time_ms},'
                   f'"battery":{{"cellMilli":3700}}}}')


def test_a_new_mapping_holds_for_later_messages(broker, daemon):
    """Goal: a line in [fields] and SIGHUP turn a member into a column, without a restart."""
    now = fleet.now_ms()
    daemon.start()
    publish_unmapped(broker, now)
    daemon.wait_rows(1)

    daemon.configure(fields={"battery.voltage_v": "battery.cellMilli * 0.001"})
    daemon.reload()
    publish_unmapped(broker, now + 1)
    daemon.wait_rows(2)
    connects = daemon.wait_status(lambda status: True)["sessions"][0]["connects"]
    daemon.stop()

    assert query(daemon.database, "SELECT time_ms, voltage_v, extra FROM battery ORDER BY 1") \
        == [(now, None, '{"battery":{"cellMilli":3700}}'), (now + 1, 3.7, None)]
    assert connects == 1, "the reload has cut the connection"


def test_log_level(daemon):
    """Goal: the level of the log changes with SIGHUP, in both directions."""
    daemon.start()
    for level, heard in (("warning", False), ("info", True), ("err", False), ("debug", True)):
        before = len(daemon.log())
        daemon.configure(log={"level": level})
        daemon.reload()
        assert ("reloaded" in daemon.log()[before:]) is heard, level
    daemon.stop()


def test_retention(broker, daemon):
    """Goal: retention_days deletes readings that are older, and no others, also after a SIGHUP."""
    now = fleet.now_ms()
    daemon.start()
    times = [now - days * DAY_MS for days in (400, 31, 29, 0)]
    for time_ms in times:
        broker.publish("foxtrackr/o1/V3.0/bat", fleet.battery("o1", time_ms))
        broker.publish("foxtrackr/o1/V3.0/temp", fleet.temperature("o1", time_ms))
    daemon.wait_rows(8)

    daemon.configure(database={"retention_days": 30})
    daemon.reload()
    for table in ("battery", "temperature"):
        wait_until(lambda: query(daemon.database, f"SELECT time_ms FROM {table} ORDER BY 1")
                   == [(times[2],), (times[3],)], what=f"old rows of {table} to go")
    daemon.stop()
    # The counts of stored messages stay right.
    assert query(daemon.database, "SELECT received, stored FROM runs") == [(8, 8)]


def test_what_needs_a_restart_is_named(broker, daemon):
    """Goal: a changed key that SIGHUP cannot apply is named, and the daemon goes on as before."""
    daemon.start()
    daemon.configure(broker={"keepalive": 33}, database={"durability": "normal"})
    daemon.reload()
    line = daemon.wait_log("restart")
    assert "broker.keepalive" in line and "database.durability" in line
    assert "filters" not in line

    broker.publish("foxtrackr/n1/V3.0/bat", fleet.battery("n1", fleet.now_ms()))
    daemon.wait_rows(1)
    daemon.stop()


def test_bad_file_changes_nothing(broker, daemon):
    """Goal: a mistake in the file is said with file and line, and the old configuration holds."""
    now = fleet.now_ms()
    daemon.configure(fields={"battery.voltage_v": "battery.cellMilli * 0.001"})
    daemon.start()

    daemon.configure(fields={"battery.voltage_v": "battery.other"}, log={"level": "loud"})
    line_number = 1 + daemon.config.read_text().splitlines().index("level = loud")
    daemon.reload()
    line = daemon.wait_log("level")
    assert re.match(rf"err.*\.conf:{line_number}: log\.level: ", line)
    publish_unmapped(broker, now)
    daemon.wait_rows(1)

    daemon.config.unlink()
    daemon.reload()
    daemon.wait_log("no such file")
    publish_unmapped(broker, now + 1)
    daemon.wait_rows(2)
    daemon.stop()
    assert query(daemon.database, "SELECT voltage_v FROM battery") == [(3.7,), (3.7,)]


def test_a_pipe_in_its_place(broker, daemon):
    """Goal: a configuration that a pipe has replaced is refused, and the daemon goes on and stops."""
    daemon.start()
    aside = daemon.config.with_suffix(".aside")
    daemon.config.rename(aside)
    os.mkfifo(daemon.config)
    try:
        daemon.reload()
        daemon.wait_log("err: .*is not a regular file.*keeping the configuration as it was")
        broker.publish("foxtrackr/p/V3.0/bat", fleet.battery("p", fleet.now_ms()))
        daemon.wait_rows(1)
        daemon.stop()
    finally:
        aside.rename(daemon.config)  # whoever reads the pipe to show it would wait for ever


def test_log_file_is_opened_anew_after_a_rotation(daemon):
    """Goal: logrotate renames the file and sends SIGHUP: from then on lines are in a new file."""
    log = daemon.directory / "foxtrackrd.log"
    rotated = daemon.directory / "foxtrackrd.log.1"
    daemon.configure(log={"target": "file", "file": log})
    daemon.start()
    assert "starting" in log.read_text()
    assert daemon.log() == "", "with a log file nothing goes to standard error"

    log.rename(rotated)
    daemon.reload()
    wait_until(lambda: log.exists() and "reloaded" in log.read_text(), what="the new log file")
    before = rotated.read_text()
    daemon.stop()

    assert rotated.read_text() == before
    assert "stopped" in log.read_text()
    assert "starting" not in log.read_text()
    assert log.stat().st_mode & 0o007 == 0, "the log is for the operator only"


def test_many_reloads_under_load(broker, daemon):
    """Goal: reloads in the middle of a stream of messages lose none."""
    daemon.start()
    daemon.stop()
    manifest = fleet.play(broker, messages=3000, garbage=50)
    daemon.start(wait="ready")
    for number in range(20):
        daemon.configure(parser={"max_future": f"{24 + number % 2}h"},
                         database={"batch_max": 100 + number})
        daemon.reload()
    daemon.wait_received(manifest.messages)
    daemon.stop()

    manifest.check(daemon.database)
    manifest.check_counts(daemon.database)


def test_a_damaged_ca_file_is_said_at_the_reload(daemon, pki):
    """Goal: SIGHUP looks at the renewed ca_file: the operator hears at once that it is of no use."""
    ca_file = daemon.directory / "ca.crt"
    ca_file.write_bytes(pki.certificate("ca").read_bytes())
    daemon.configure(broker={"ca_file": ca_file})
    daemon.start()
    daemon.reload()
    assert "broker.ca_file" not in daemon.log()

    ca_file.write_text("no certificate\n")
    daemon.reload()
    daemon.wait_log(r"broker\.ca_file.*holds no certificate.*no connection can be made")
    assert daemon.process.poll() is None
    daemon.stop()


def test_a_reload_ends_the_wait_for_the_next_try(make_broker, make_daemon):
    """
    Goal: an operator who has mended what kept the daemon from connecting need not wait for its
    next try. The wait has grown to more than six seconds; the reload ends it long before.
    """
    broker = make_broker(start=False)
    daemon = make_daemon(broker).start(wait=None)
    daemon.wait_status(lambda status: (status["sessions"][0]["retry_in_ms"] or 0) > 6000, 60)
    broker.start()

    before = time.monotonic()
    daemon.reload()
    daemon.wait_subscribed()
    assert time.monotonic() - before < 6, "it waited for the next try all the same"
    daemon.stop()
