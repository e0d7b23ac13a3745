"""Why there is no connection is said in a sentence, and nothing secret goes to a wrong server."""

import pytest

import broker as brokers
import fleet
from broker import Broker
from foxtrackrd import Daemon
from harness import PATIENCE, query, run, FOXTRACKRD
from tls_recorder import TlsRecorder

# The fault of the server's certificate, and words that the reason must have.
WRONG_CERTIFICATES = {
    "expired": (r"certificate.*expired", "2021"),
    "unknown": (r"certificate.*issued by.*Another CA", "ca.crt"),
    "wrong_host": (r"certificate.*elsewhere\.example\.org", "localhost"),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("connection")


@pytest.fixture(scope="module")
def refused(directory, pki, password_file):
    """
    Daemons that cannot connect, each for its own reason. They are started together, because each
    of them waits fifteen seconds before it is READY.
    """
    servers = {name: TlsRecorder(pki, name) for name in WRONG_CERTIFICATES}
    servers["wrong password"] = Broker(directory / "broker", pki, password_file)
    daemons = {name: Daemon(directory / name.replace(" ", "-"), server)
               for name, server in servers.items()}
    daemons["wrong password"].password_path.write_text("wrong-" + brokers.PASSWORD)
    daemons["no such host"] = Daemon(
        directory / "no-such-host", servers["expired"], broker={"host": "foxtrackr.invalid"})
    for daemon in daemons.values():
        daemon.start(wait=None)
    yield daemons
    for daemon in daemons.values():
        daemon.close()
    for server in servers.values():
        server.close()


def check_no_secret(daemon):
    """The password is in no place where somebody might see it."""
    password = brokers.PASSWORD.encode()
    with open(f"/proc/{daemon.process.pid}/cmdline", "rb") as file:
        assert password not in file.read()
    with open(f"/proc/{daemon.process.pid}/environ", "rb") as file:
        assert password not in file.read()
    assert password not in daemon.stderr_path.read_bytes()
    assert password not in daemon.status_path.read_bytes()
    assert brokers.PASSWORD not in "\n".join(daemon.notifications.lines())


def check_alive_and_ready(daemon):
    """A broker that refuses does not fail the unit."""
    daemon.wait_ready(25)
    waited = daemon.notifications.time_of("READY=1") - daemon.started
    assert 5 < waited < 25 * PATIENCE
    assert daemon.process.poll() is None
    daemon.wait_status(lambda status: status["state"] == "not connected")


@pytest.mark.parametrize("fault", WRONG_CERTIFICATES)
def test_wrong_certificate(refused, fault):
    """
    Goal: with a certificate that is wrong the log and the status say what is wrong with it, READY
    comes all the same, and not one byte, so no password either, goes to that server.
    """
    daemon = refused[fault]
    pattern, detail = WRONG_CERTIFICATES[fault]

    assert detail in daemon.wait_log(pattern)
    assert detail in daemon.wait_notified(pattern)
    check_alive_and_ready(daemon)
    check_no_secret(daemon)
    assert daemon.server.refused >= 2, "the server has not seen the daemon"
    assert daemon.server.received == b""


def test_credentials_reach_the_right_server(pki, make_daemon):
    """Goal: the server that records does see the password of a daemon that trusts it."""
    server = TlsRecorder(pki, "server")
    try:
        daemon = make_daemon(server).start(wait=None)
        daemon.wait_log("CONNECT|connection|answer")
        assert brokers.PASSWORD.encode() in server.received
        daemon.wait_status(lambda status: True)
        check_no_secret(daemon)
        daemon.stop()
    finally:
        server.close()


def test_wrong_password(refused):
    """Goal: a refused password is called that, in the log and in the status."""
    daemon = refused["wrong password"]

    daemon.wait_log("bad user name or password|not authori[sz]ed")
    daemon.wait_notified("bad user name or password|not authori[sz]ed")
    check_alive_and_ready(daemon)
    check_no_secret(daemon)


def test_host_that_does_not_exist(refused):
    """Goal: a name that cannot be resolved is called that."""
    daemon = refused["no such host"]

    daemon.wait_log(r"resolve.*foxtrackr\.invalid")
    check_alive_and_ready(daemon)


def test_tls_to_a_port_without_it(broker, make_daemon):
    """Goal: port and tls that do not go together end in a sentence, not in a hang."""
    daemon = make_daemon(broker, broker={"port": broker.plain_port})
    daemon.start(wait=None)
    daemon.wait_log("tls|connection")
    daemon.stop()


def test_plain_connection_warns(broker, make_daemon):
    """Goal: tls = no works, and says at every start that the password travels in clear."""
    daemon = make_daemon(broker, broker={"port": broker.plain_port, "tls": "no", "ca_file": None})
    daemon.start()
    daemon.wait_log("password.*clear")
    now = fleet.now_ms()
    broker.publish("foxtrackr/p1/V3.0/bat", fleet.battery("p1", now, 3.5))
    daemon.wait_rows(1)
    daemon.stop()

    assert query(daemon.database, "SELECT time_ms, voltage_v FROM battery") == [(now, 3.5)]


def test_ca_file_with_only_expired_certificates(broker, make_daemon, pki):
    """
    Goal: the CA file of old instructions, expired for years, is a configuration error with a
    sentence that says so, not a broker that does not answer.
    """
    daemon = make_daemon(broker, broker={"ca_file": pki.certificate("expired_ca")})
    daemon.start(wait=None)
    assert daemon.wait_exit() == 78
    daemon_log = daemon.log()
    assert "ca_file" in daemon_log and "expired" in daemon_log and "2021" in daemon_log

    checked = run(FOXTRACKRD, "-c", daemon.config, "--check-config", check=False)
    assert checked.returncode == 78
    assert "expired" in checked.stderr


def test_proxy_variables_of_the_environment_are_ignored(broker, make_daemon):
    """
    Goal: proxies in the environment, and exceptions from them, are not about MQTT and change
    nothing: the connection is made, and through the gate.
    """
    environment = {name: "http://127.0.0.1:9/" for name in
                   ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")}
    exceptions = {name: "localhost,127.0.0.1,*" for name in ("no_proxy", "NO_PROXY")}
    daemon = make_daemon(broker, environment={**environment, **exceptions})
    daemon.start()
    daemon.stop()
