"""Every way to write broker.host, and hosts with several addresses of which some are of no use."""

import contextlib
import os
import socket
import ssl
import threading
import types

import pytest

import broker as brokers
import fleet
from foxtrackrd import foxtrackrctl
from harness import BUILD, FOXTRACKRD, SANITIZED, run, wait_until
from test_check_connect import check, no_leak_check, only_bad  # noqa: F401

NAME = "broker.foxtrackr.test"  # in the broker's certificate
ADDRESS = "127.0.0.1"           # where the broker listens
OTHERS = "127.0.0.2", "127.0.0.3"


class Stranger:
    """A server at another address of the broker's port. `answer` gets each connection."""

    def __init__(self, address, port, answer):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.name = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self.count = 0
        self._answer = answer
        self._open = []
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, port))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.count += 1
                self._open.append(connection)
                threading.Thread(target=self._handle, args=[connection], daemon=True).start()

    def _handle(self, connection):
        with contextlib.suppress(OSError):
            self._answer(connection)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()
        for connection in self._open:
            connection.close()


@pytest.fixture
def stranger():
    """A function that makes a Stranger; all of them end with the test."""
    made = []

    def make(*arguments):
        made.append(Stranger(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def free_port():
    """A function that returns the number of a port that nobody else gets before the test ends."""
    kept = []

    def keep():
        kept.append(brokers.Port())
        return kept[-1].number

    yield keep
    for port in kept:
        port.close()


def mute(_connection):
    """Accepts, and says nothing."""


def close(connection):
    connection.shutdown(socket.SHUT_RDWR)


def babble(connection):
    connection.sendall(b"220 mail.example.org ESMTP\r\n")


def unavailable(connection):
    """CONNACK with return code 3."""
    connection.recv(4096)
    connection.sendall(b"\x20\x02\x00\x03")


@pytest.fixture
def names(tmp_path, monkeypatch):
    """A function that says which addresses NAME has, also while a daemon runs."""
    file = tmp_path / "names"
    shim = BUILD / "tests" / "names_shim.so"
    assert shim.exists(), "run make test-programs"
    environment = {"LD_PRELOAD": str(shim), "FAULT_NAMES": str(file)}
    if SANITIZED:
        environment["ASAN_OPTIONS"] = "detect_leaks=0:verify_asan_link_order=0"
    for variable, text in environment.items():
        if variable != "LD_PRELOAD":  # nothing but the programs under test is to have it
            monkeypatch.setenv(variable, text)

    def be(*addresses):
        temporary = file.with_suffix(".new")
        temporary.write_text(f"{NAME} {' '.join(addresses)}\n{NAME}. {' '.join(addresses)}\n")
        temporary.replace(file)
        return environment

    return be


def plain(broker):
    return {"tls": "no", "ca_file": None, "port": broker.plain_port}


def check_message(broker, daemon):
    broker.publish("foxtrackr/a1/V3.0/bat", fleet.battery("a1", fleet.now_ms(), 3.5))
    daemon.wait_rows(1)


@pytest.fixture(name="everywhere")
def fixture_everywhere(make_broker):
    """A broker that listens at ::1 too."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as error:
            assert "CI" not in os.environ, f"there is no ::1: {error}"
            pytest.skip(f"there is no ::1 here: {error}")
    broker = make_broker(start=False)
    config = broker.directory / "mosquitto.conf"
    config.write_text(config.read_text() + f"""
listener {broker.tls_port} ::1
cafile {broker.pki.certificate("ca")}
certfile {broker.pki.certificate("server")}
keyfile {broker.pki.key("server")}
listener {broker.plain_port} ::1
""")
    broker.start()
    return broker


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "clear"])
@pytest.mark.parametrize("host", [ADDRESS, "::1", "::1%1", "0:0:0:0:0:0:0:1", "localhost"])
def test_host(everywhere, make_daemon, host, tls):
    """
    Goal: a name, an IPv4 address, an IPv6 address and one with a zone are connected to, with TLS and
    without, and check says the same.
    """
    daemon = make_daemon(everywhere, broker={"host": host, **({} if tls else plain(everywhere))})
    daemon.start()
    found = check(daemon, "--connect")
    assert all(one["good"] for ones in found.values() for one in ones), found
    assert len(found["credentials"]) == len(found["filter"]) == 1
    check_message(everywhere, daemon)
    daemon.stop()


@pytest.mark.parametrize("host, sni", [
    ("localhost", "localhost"), (ADDRESS, None), ("::1", None), ("::1%1", None),
    (NAME + ".", NAME)])
def test_sni(pki, make_daemon, stranger, names, free_port, host, sni):
    """Goal: SNI holds the name, and nothing at all for an address (RFC 6066): both handshakes, that
    of Paho and the one that explains."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.certificate("server"), pki.key("server"))
    seen = []
    context.sni_callback = lambda _socket, name, _context: seen.append(name)

    def shake_hands(connection):
        with context.wrap_socket(connection, server_side=True) as client:
            client.recv(4096)

    place = types.SimpleNamespace(tls_port=free_port(), pki=pki)
    server = stranger("::1" if ":" in host else ADDRESS, place.tls_port, shake_hands)
    daemon = make_daemon(place, environment=names(ADDRESS), broker={"host": host})
    daemon.start(wait=None)
    wait_until(lambda: len(seen) >= 2, what="two handshakes")
    daemon.stop()
    assert server.count >= 2
    assert set(seen) == {sni}


@pytest.mark.parametrize("host", [ADDRESS, "::1"])
def test_certificate_without_the_address(make_daemon, everywhere, stranger, free_port, host):
    """Goal: an address that is not in the certificate is refused by the daemon and by check, with
    the address and what the certificate is for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(everywhere.pki.certificate("wrong_host"),
                            everywhere.pki.key("wrong_host"))

    def shake_hands(connection):
        with context.wrap_socket(connection, server_side=True) as client:
            client.recv(4096)

    port = free_port()
    stranger(host, port, shake_hands)
    daemon = make_daemon(everywhere, broker={"host": host, "port": port}).start(wait=None)
    line = daemon.wait_log("certificate is for")
    assert "elsewhere.example.org" in line and f"not for {host}" in line
    bad = only_bad(check(daemon, "--connect"))
    assert bad["check"] == "TLS" and f"not for {host}" in bad["detail"]
    daemon.stop()


@pytest.mark.limit(240)
@pytest.mark.parametrize("tls, answer", [
    (True, mute), (True, close), (True, babble), (False, mute), (False, close),
    (False, unavailable), (True, None)],
    ids=["mute-TLS", "close-TLS", "no-TLS", "mute", "close", "CONNACK", "nobody"])
@pytest.mark.long
def test_first_address_is_of_no_use(broker, make_daemon, stranger, names, tls, answer):
    """
    Goal: whatever fails at the first address, TCP, TLS or CONNACK, the second is tried in the same
    attempt; the log names the
    address that failed, unless it refused TCP at once; the good one is tried first when the connection
    is lost; check goes the same way and names the address too.
    """
    port = broker.tls_port if tls else broker.plain_port
    useless = stranger(OTHERS[0], port, answer) if answer else None
    environment = names(OTHERS[0], ADDRESS)
    daemon = make_daemon(broker, environment=environment,
                         broker={"host": NAME, **({} if tls else plain(broker))})
    daemon.start(wait=None)
    daemon.wait_subscribed(60)
    if answer:
        assert f"warning: id-test-01: {NAME}:{port}: {OTHERS[0]}:{port}: " \
            in daemon.wait_log(f"{OTHERS[0]}")
    else:  # one that refuses at once is ordinary where another one works
        assert OTHERS[0] not in daemon.log()
    assert bool(daemon.status()["sessions"][0]["last_error"]) == (answer is not None)
    check_message(broker, daemon)
    assert daemon.status()["sessions"][0]["connects"] == 1

    found = check_with(daemon, environment)
    assert all(one["good"] for ones in found.values() for one in ones), found
    assert f"{OTHERS[0]}:{port} is of no use" in found["address"][0]["detail"]
    assert len(found["credentials"]) == len(found["filter"]) == 1

    count = useless.count if useless else 0
    broker.restart()
    daemon.wait_status(lambda status: status["sessions"][0]["connects"] == 2
                       and status["sessions"][0]["state"] == "subscribed", 60)
    assert count == (useless.count if useless else 0), "the good address was not tried first"
    daemon.stop()


def check_with(daemon, environment):
    """check --connect, with the same names as the daemon."""
    kept = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        return check(daemon, "--connect")
    finally:
        for name, text in kept.items():
            if text is None:
                del os.environ[name]
            else:
                os.environ[name] = text


@pytest.mark.long
def test_no_address_is_of_use(broker, make_daemon, stranger, names):
    """
    Goal: one attempt tries each address once and says of each what is wrong, and the backoff comes
    between attempts only; the name is asked for anew, so the daemon finds a broker that moves.
    """
    port = broker.tls_port
    useless = [stranger(OTHERS[0], port, close), stranger(OTHERS[1], port, babble)]
    environment = names(*OTHERS)
    daemon = make_daemon(broker, environment=environment, broker={"host": NAME}).start(wait=None)
    line = daemon.wait_log(f"{OTHERS[0]}:.*{OTHERS[1]}:")
    assert "closed the connection" in line and "does not speak TLS" in line
    daemon.wait_status(lambda status: OTHERS[0] in status["sessions"][0]["reason"]
                       and OTHERS[1] in status["sessions"][0]["reason"])
    bad = only_bad(check_with(daemon, environment))
    assert bad["check"] == "TLS" and OTHERS[1] in bad["detail"]

    def attempts():
        return daemon.status()["sessions"][0]["state"] == "waiting" and useless[1].count > 6

    wait_until(attempts, 30, "some attempts")
    # Paho's connection and that which explains, for each address and attempt.
    assert abs(useless[0].count - useless[1].count) <= 2, [one.count for one in useless]

    names(OTHERS[0], ADDRESS)
    daemon.wait_subscribed(60)
    daemon.stop()


@pytest.mark.parametrize("host, words", [
    ("[::1]", "without brackets"), ("::1:1883x", "holds a port"), ("fe80::1%", "no IPv6 address"),
    ("name%eth0", "no IPv6 address with a zone")])
def test_host_that_is_refused(broker, make_daemon, host, words):
    """Goal: what is no name and no address is a configuration error with a sentence."""
    daemon = make_daemon(broker, broker={"host": host})
    done = run(FOXTRACKRD, "-c", daemon.config, "--check-config", check=False)
    assert done.returncode == 78 and words in done.stderr
    assert foxtrackrctl(daemon, "check", check=False).returncode == 78
