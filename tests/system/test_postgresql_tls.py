"""The way to a server of PostgreSQL: TLS with a private authority, several hosts, the password that nobody sees."""

import os
import pathlib
import re
import select
import shutil
import socket

import pytest

import fleet
import postgres
from foxtrackrd import foxtrackrctl
from harness import FOXTRACKRD, run, wait_until

PASSWORD = "sees-nobody-4711"


@pytest.fixture(scope="module", name="server")
def fixture_server(pki):
    """A server with TLS on 127.0.0.1 that wants TLS and a password; its certificate is for localhost."""
    if not postgres.versions():
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    made = postgres.Cluster(tcp=True, port=port_for_server())
    for name in ("server.crt", "server.key"):
        copy = made.directory / name
        shutil.copy(pathlib.Path(pki.directory) / name, copy)
        copy.chmod(0o600)
        if made.user:
            shutil.chown(copy, made.user.pw_uid, made.user.pw_gid)
    with open(made.data / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write(f"ssl = on\nssl_cert_file = '{made.directory}/server.crt'\n"
                   f"ssl_key_file = '{made.directory}/server.key'\n")
    made.psql(f"ALTER ROLE foxtrackrd PASSWORD '{PASSWORD}'")
    (made.data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
    made.make_database("fleet")
    made.halt()
    made.start()
    yield made
    made.stop()


def port_for_server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(name="daemon_at")
def fixture_daemon_at(server, broker, make_daemon, tmp_path):
    """Makes a daemon by the hosts and parameters of its URI."""
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)

    def make(hosts, parameters, **keys):
        uri = f"postgresql://foxtrackrd@{hosts}/fleet?{parameters}"
        return make_daemon(broker, database={"engine": "postgresql", "path": None, "uri": uri,
                                             "password_file": secret, **keys})
    return make


def test_verified_and_unseen(server, daemon_at, broker, pki):
    """
    Goal: with the authority in the URI the server is verified, and the second host is found when the first is away;
    the password is in no log, no status, no command line and no environment.
    """
    daemon = daemon_at(f"localhost:1,localhost:{server.port}", f"sslmode=verify-full&sslrootcert={pki.certificate('ca')}")
    daemon.start()
    assert daemon.status()["database"]["server"].endswith(f" at localhost:{server.port}")
    manifest = fleet.play(broker, messages=20)
    wait_until(lambda: int(server.psql("SELECT coalesce(sum(received), 0) FROM runs", "fleet").split()[1])
               >= manifest.messages, timeout=30, what="the messages")
    assert server.psql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                       " WHERE application_name LIKE 'foxtrackrd%'", "fleet").split()[1] == "t"
    process = pathlib.Path(f"/proc/{daemon.process.pid}")
    shown = foxtrackrctl(daemon, "status", "--json")
    for text in (process / "cmdline").read_bytes(), (process / "environ").read_bytes(), \
            daemon.status_path.read_bytes(), (shown.stdout + shown.stderr).encode():
        assert PASSWORD.encode() not in text
    daemon.stop()
    assert PASSWORD not in daemon.log() and "warning: " not in daemon.log().split("connected to")[0]


@pytest.mark.parametrize("hosts, parameters, reason", [
    ("localhost", "sslmode=verify-full&sslrootcert={other_ca}",
     "certificate verify failed; the authority that signed the server's certificate is not in sslrootcert"),
    ("localhost", "sslmode=verify-full",
     "certificate verify failed; without sslrootcert in database.uri the authorities of the system count"),
    ("elsewhere.example.org", "hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={ca}",
     'does not match host name "elsewhere.example.org"'),
])
def test_wrong_certificate_is_explained(server, daemon_at, pki, hosts, parameters, reason):
    """Goal: a server that cannot prove who it is gets no password and no row, and the reason names the remedy."""
    parameters = parameters.format(**{name: pki.certificate(name) for name in ("ca", "other_ca")})
    daemon = daemon_at(f"{hosts}:{server.port}", parameters)
    daemon.start(wait="ready")
    status = daemon.wait_status(lambda s: s["state"] == "waiting for the database")
    assert reason in status["text"], status["text"]
    daemon.stop()
    assert PASSWORD not in daemon.log()


def test_no_password_is_explained(server, daemon_at):
    """Goal: where no password was given a wait is of no use: the start ends as with a wrong one, and says what to set."""
    daemon = daemon_at(f"localhost:{server.port}", "sslmode=require", password_file=None)
    daemon.start(wait=None)
    assert daemon.wait_exit() == os.EX_IOERR
    assert "no password supplied; set database.password_file, or the credential foxtrackrd.postgresql" in daemon.log()


def check_configuration(daemon):
    return run(FOXTRACKRD, "-c", daemon.config, "--check-config", check=False)


@pytest.mark.parametrize("parameters", ["sslmode=require&sslrotcert=/x", "sslmode=verify", "sslmode=", "service=nowhere",
                                        "port=1,2", "hostaddr=127.0.0.1,127.0.0.1"])
def test_a_uri_that_libpq_refuses_is_explained(server, daemon_at, parameters):
    """Goal: a URI that libpq refuses ends the start, and `check` and --check-config find it before."""
    daemon = daemon_at(f"localhost:{server.port}", parameters)
    daemon.start(wait=None)
    assert daemon.wait_exit() == os.EX_IOERR
    reason = re.search(r'cannot connect: (.*); mend database\.uri', daemon.log())[1]
    done = foxtrackrctl(daemon, "check", check=False)
    assert done.returncode == 1 and re.search(f"BAD .*{re.escape(reason)}; mend", done.stdout), done.stdout
    done = check_configuration(daemon)
    assert done.returncode == os.EX_CONFIG and f"{daemon.config}: database.uri: {reason}\n" in done.stderr, done.stderr


@pytest.mark.parametrize("parameters, reason", [("keepalives_idle=soon", "keepalives_idle is no number"),
                                                ("hostaddr=localhost", "hostaddr is no address in numbers")])
def test_a_value_that_libpq_meets_late(server, daemon_at, parameters, reason):
    """Goal: a value at which libpq looks only when it connects ends the start, too, and --check-config finds it before."""
    daemon = daemon_at(f"localhost:{server.port}", parameters)
    daemon.start(wait=None)
    assert daemon.wait_exit() == os.EX_IOERR and "; mend database.uri" in daemon.log()
    done = check_configuration(daemon)
    assert done.returncode == os.EX_CONFIG and f"{daemon.config}: database.uri: {reason}\n" in done.stderr, done.stderr


def test_a_configuration_is_checked_without_the_network(daemon_at, tmp_path):
    """Goal: --check-config takes a good URI of several hosts, and calls none of them, nor what the environment names."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        services = tmp_path / "services"
        services.write_text(f"[near]\nhostaddr=127.0.0.1\nport={port}\n")
        environment = {**os.environ, "PGHOSTADDR": "127.0.0.1", "PGPORT": str(port), "PGSERVICEFILE": str(services)}
        for hosts, parameters in ((f"localhost:{port},db.example.org:{port}", "hostaddr=127.0.0.1,127.0.0.1"),
                                  (f"localhost:{port}", "sslmode=verify-full"), ("", "service=near")):
            daemon = daemon_at(hosts, parameters)
            run(FOXTRACKRD, "-c", daemon.config, "--check-config", env=environment)
        assert not select.select([listener], [], [], 0)[0]


def test_a_module_that_is_not_installed(daemon_at, tmp_path):
    """Goal: --check-config says which package is missing, as the start does."""
    alone = tmp_path / "bin" / "foxtrackrd"
    alone.parent.mkdir()
    shutil.copy(FOXTRACKRD, alone)
    daemon = daemon_at("localhost", "sslmode=verify-full")
    done = run(alone, "-c", daemon.config, "--check-config", check=False)
    assert done.returncode == os.EX_CONFIG and "needs the package foxtrackrd-postgresql" in done.stderr, done.stderr


@pytest.mark.parametrize("parameters", ["sslmode=require", "sslmode=require&target_session_attrs=any"])
def test_a_read_only_role_is_explained(server, daemon_at, parameters):
    """Goal: a role whose transactions are read-only waits as at a standby, and is told how to take that back."""
    server.psql("ALTER ROLE foxtrackrd SET default_transaction_read_only = on")
    try:
        daemon = daemon_at(f"localhost:{server.port}", parameters)
        daemon.start(wait="ready")
        status = daemon.wait_status(lambda s: s["state"] == "waiting for the database")
        assert re.search("session is read-only; .*ALTER ROLE ... RESET default_transaction_read_only", status["text"])
        daemon.stop()
    finally:
        server.psql("ALTER ROLE foxtrackrd RESET default_transaction_read_only")


def test_below_verify_full_is_a_warning(server, daemon_at):
    """Goal: TLS that verifies nobody works, as libpq's users know it, and is a warning at every start."""
    daemon = daemon_at(f"localhost:{server.port}", "sslmode=require").start()
    daemon.stop()
    assert re.search("warning: .*database.uri: with sslmode=require the server does not have to prove who it is",
                     daemon.log()), daemon.log()
