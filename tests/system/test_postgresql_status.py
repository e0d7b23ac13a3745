"""What a daemon with PostgreSQL, and its standby, tell of themselves: status file, metrics, foxtrackrctl status."""

import json
import re
import socket

import fleet
from foxtrackrd import foxtrackrctl
from harness import FOXTRACKRCTL, run, wait_until
from test_metrics import OF_POSTGRESQL, check_conventions, samples_of
from test_postgresql import cluster, fixture_pg, sections  # noqa: F401: fixtures


def names_in(path):
    return {sample.partition("{")[0] for sample in samples_of(path.read_text())}


def test_holder_and_standby(broker, make_daemon, pg, tmp_path):
    """
    Goal: the one that has the sessions names its server and counts lost connections, the other names the one
    that has them; neither shows a disk that is not its own; the metrics of the two have no sample in common with
    each other's series but by their machine.
    """
    both = [make_daemon(broker, session={"standby": "yes"}, status={"metrics_file": tmp_path / f"{name}.prom"},
                        **sections(pg)) for name in ("holder", "waits")]
    both[0].start()
    both[1].start(wait="ready")
    waits = both[1].wait_status(lambda s: s["state"] == "standby")
    assert waits["text"].startswith("standby: host ") and waits["pid"] == both[1].process.pid
    assert waits["database"]["role"] == "standby" and waits["database"]["engine"] == "postgresql"
    assert waits["database"]["holder"].endswith(f"process {both[0].process.pid}")
    shown = foxtrackrctl(both[1], "status").stdout
    assert re.match(rf"foxtrackrd \S+, pid {both[1].process.pid}: standby: host .* has the sessions\n", shown), shown
    text = (tmp_path / "waits.prom").read_text()
    check_conventions(text)
    assert names_in(tmp_path / "waits.prom") == {
        "foxtrackrd_build_info", "foxtrackrd_start_timestamp_seconds", "foxtrackrd_status_timestamp_seconds",
        "foxtrackrd_status_interval_seconds", "foxtrackrd_standby"}
    assert re.search(r'^foxtrackrd_standby{database=".*/.*",daemon="id-test-01"} 1$', text, re.MULTILINE)

    database = both[0].status()["database"]
    assert re.fullmatch(rf"PostgreSQL \d+(\.\d+)? at {re.escape(str(pg.cluster.directory))}", database["server"])
    assert (database["role"], database["holder"], database["reconnects"]) == ("holder", None, 0)
    assert (database["free_bytes"], database["wal_bytes"]) == (None, None)
    pg.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity JOIN pg_locks USING (pid)"
             " WHERE locktype = 'advisory' AND application_name LIKE 'foxtrackrd%'")
    manifest = fleet.play(broker, messages=20)
    holder, other = both

    def reconnected():
        """The standby may be faster than the holder: then they have changed places."""
        nonlocal holder, other
        one, two = ((daemon.status() or {}).get("database", {}) for daemon in both)  # no file while they change places
        if two.get("role") == "holder":
            holder, other = both[1], both[0]
            return True
        return one.get("reconnects", 0) >= 1

    wait_until(reconnected, timeout=30, what="a new connection of one of the two")
    wait_until(lambda: not pg.differences(manifest)[0], timeout=30, what="the rows")
    if holder is both[0]:
        assert re.search(r"\n  reconnects +\d in this run", foxtrackrctl(holder, "status").stdout)
        assert names_in(tmp_path / "holder.prom") >= OF_POSTGRESQL
        assert not re.search("foxtrackrd_(filesystem|database_wal)", (tmp_path / "holder.prom").read_text())
        other.stop()
        assert not (tmp_path / "waits.prom").exists() and not other.status_path.exists()
    holder.stop()


def test_status_without_its_file(broker, make_daemon, pg):
    """Goal: `status` tells of the daemon that has the sessions in PostgreSQL, though there is no status file."""
    daemon = make_daemon(broker, **sections(pg)).start()
    other = make_daemon(broker, **sections(pg))
    said = foxtrackrctl(other, "status", check=False).stderr
    assert f"process {daemon.process.pid}) and has the sessions of this configuration in" in said, said
    daemon.stop()
    assert "has the sessions" not in foxtrackrctl(other, "status", check=False).stderr


def test_status_by_the_name_of_its_file(broker, make_daemon, pg):
    """Goal: whoever has no configuration sees the status, and is told what leads to the counts in PostgreSQL."""
    daemon = make_daemon(broker, **sections(pg)).start()
    done = run(FOXTRACKRCTL, "status", daemon.status_path, check=False)
    daemon.stop()
    assert done.returncode == 0 and "cannot open" not in done.stdout + done.stderr, done


def test_status_while_the_server_is_away(broker, make_daemon, pg):
    """Goal: a start without a server waits, says for what in status, and ends as asked; `status` exits with 1."""
    daemon = make_daemon(broker, database={"engine": "postgresql", "path": None,
                                           "uri": "postgresql://nobody@127.0.0.1:1/none?sslmode=disable"})
    daemon.start(wait="ready")
    status = daemon.wait_status(lambda s: s["state"] == "waiting for the database")
    assert "refused" in status["text"] and status["database"]["holder"] is None
    done = foxtrackrctl(daemon, "status", "--json", check=False)
    assert done.returncode == 1 and json.loads(done.stdout)["state"] == "waiting for the database"
    daemon.stop()
    assert not daemon.status_path.exists()


def test_a_stop_while_the_server_does_not_answer(broker, make_daemon):
    """Goal: a start that waits for an answer of the server says at its stop what it has waited for."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none?sslmode=disable"
        daemon = make_daemon(broker, database={"engine": "postgresql", "path": None, "uri": uri}).start(wait=None)
        with silent.accept()[0]:
            daemon.stop()
    assert "/none: stopped while waiting for the database" in daemon.log()
