"""A broker behind a proxy: real ones, tinyproxy for CONNECT and microsocks for SOCKS 5."""

import os
import re
import socket

import pytest

import broker as brokers
import fleet
import proxy as proxies
from foxtrackrd import foxtrackrctl
from harness import (BUILD, FOXTRACKRD, SANITIZED, check_sound, count_rows, count_waiting, query, run,
                     wait_until)
from proxy import Microsocks, Tinyproxy
from relay import Relay
from test_check_connect import check, no_leak_check, only_bad  # noqa: F401
from tls_recorder import TlsRecorder

KINDS = {"http": (Tinyproxy, False), "http-user": (Tinyproxy, True),
         "socks5": (Microsocks, False), "socks5-user": (Microsocks, True)}
BACKLOG = 2000
PART_BYTES = 200_000
PART_MESSAGES = 300
"""So much comes before the proxy is killed: more than PART_MESSAGES, and a part of the backlog."""


@pytest.fixture
def make_proxy(tmp_path):
    """A function that starts a proxy; all of them end with the test."""
    made = []

    def make(kind, **options):
        made.append(kind(tmp_path / f"proxy-{len(made)}", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def through(proxy, daemon, *, password=proxies.PASSWORD, **keys):
    """Let the daemon go through the proxy; it has a file with the password if the URL has a user."""
    if "@" in proxy.url:
        path = daemon.directory / "proxy-password"
        path.touch(mode=0o600)
        path.write_text(f"{password}\n")
        keys["proxy_password_file"] = path
    daemon.configure(broker={"proxy": proxy.url, **keys})
    return daemon


def is_secret_kept(daemon):
    """The password for the proxy is in no place where somebody might see it."""
    told = daemon.log() + daemon.status_path.read_text()
    return proxies.PASSWORD not in told and brokers.PASSWORD not in told


def blind(tmp_path):
    """The environment of a program that cannot resolve localhost, where the broker is."""
    names = tmp_path / "names"
    names.write_text("localhost\n")
    environment = {"LD_PRELOAD": str(BUILD / "tests" / "names_shim.so"), "FAULT_NAMES": str(names)}
    if SANITIZED:
        environment["ASAN_OPTIONS"] = "detect_leaks=0:verify_asan_link_order=0"
    return environment


@pytest.mark.parametrize("kind", KINDS)
def test_a_backlog_comes_through_a_proxy(broker, make_daemon, make_proxy, tmp_path, kind):
    """
    Goal: with TLS, each message once; the proxy gets the broker's name unresolved, and the
    environment's proxy is not asked.
    """
    program, secret = KINDS[kind]
    proxy = make_proxy(program, secret=secret)
    environment = {**blind(tmp_path), "http_proxy": "http://127.0.0.1:1"}
    daemon = through(proxy, make_daemon(broker, environment=environment))
    daemon.start()
    daemon.stop()
    manifest = fleet.play(broker, messages=BACKLOG, garbage=20, other=20)
    daemon.start()
    daemon.wait_rows(manifest.row_count)
    line = daemon.wait_log("connected to")
    assert f"connected to localhost:{broker.tls_port} through the proxy {proxy.name} with MQTT " in line
    assert is_secret_kept(daemon)
    daemon.stop()
    manifest.check(daemon.database)
    assert proxy.count_asked(f"localhost:{broker.tls_port}") == 2
    assert query(daemon.database, "SELECT * FROM gaps") == []


def test_in_clear(broker, make_daemon, make_proxy):
    """Goal: the broker's first bytes, which come right behind the proxy's answer, are not lost."""
    for number, (program, secret) in enumerate(KINDS.values()):
        proxy = make_proxy(program, secret=secret)
        daemon = through(proxy, make_daemon(broker), tls="no", port=broker.plain_port, ca_file=None)
        daemon.start()
        broker.publish("foxtrackr/a/V3.0/bat", fleet.battery("a", fleet.now_ms() + number))
        daemon.wait_rows(1)
        daemon.stop()


def count_stored(path):
    return count_rows(path) + count_waiting(path)


@pytest.mark.parametrize("kind", ["http-user", "socks5-user"])
def test_a_proxy_restarts_in_the_middle(broker, make_daemon, make_proxy, kind):
    """
    Goal: a proxy that is killed in a catch-up and comes back costs no message and makes none twice;
    log and status name it meanwhile. The part of the backlog that it lets through may end before SUBACK.
    """
    program, secret = KINDS[kind]
    relay = Relay(broker)
    proxy = make_proxy(program, secret=secret)
    daemon = through(proxy, make_daemon(relay, session={"receive_maximum": 20},
                                        database={"batch_max": 50}))
    try:
        daemon.start()
        daemon.stop()
        manifest = fleet.play(broker, messages=BACKLOG, garbage=20, other=20)
        relay.allow(PART_BYTES)
        daemon.start(wait=None)
        wait_until(lambda: count_stored(daemon.database) >= PART_MESSAGES, 60,
                   lambda: f"{PART_MESSAGES} stored\n{daemon.log_tail()}")
        proxy.kill()
        daemon.wait_log(r"(connection lost: |no answer to SUBSCRIBE ).*"
                        rf"\(or the cause is the proxy {proxy.name} in between\)")
        words = f"through the proxy {proxy.name}: Connection refused (nothing listens there: is the proxy"
        daemon.wait_status(lambda now: words in now["sessions"][0]["reason"])
        assert count_stored(daemon.database) < manifest.row_count
        relay.allow(None)
        proxy.start()
        daemon.wait_rows(manifest.row_count)
        daemon.wait_status(lambda now: now["sessions"][0]["connects"] == 2)
        daemon.stop()
    finally:
        relay.close()
    manifest.check(daemon.database)
    check_sound(daemon.database)
    assert query(daemon.database, "SELECT * FROM gaps") == []


# --- refusals ---------------------------------------------------------------------------------------


class Server:
    """In the place of a proxy: a server of another kind."""

    def __init__(self, url):
        self.url = url
        self.name = url.rpartition("/")[2]


def wrong_password(make_proxy, _broker, program):
    return make_proxy(program, secret=True), {"password": "wrong-word"}


def no_user(make_proxy, _broker, program):
    proxy = make_proxy(program, secret=True)
    proxy.url = f"{proxy.scheme}://{proxy.name}"
    return proxy, {}


def forbidden_port(make_proxy, broker, program):
    return make_proxy(program, allowed=[broker.plain_port]), {}


def no_broker(make_proxy, _broker, program):
    return make_proxy(program), {"port": 1}


def no_name(make_proxy, _broker, program):
    return make_proxy(program), {"host": "foxtrackr.invalid"}


def other_scheme(make_proxy, _broker, program):
    proxy = make_proxy(program)
    return Server(f"{'socks5' if proxy.scheme == 'http' else 'http'}://{proxy.name}"), {}


def no_proxy(_make_proxy, broker, program):
    return Server(f"{program.scheme}://127.0.0.1:{broker.plain_port}"), {}


REFUSALS = {
    "wrong password, http": (wrong_password, Tinyproxy, "refuses the user proxy-user or the password "
                             "(401 Unauthorized): check broker.proxy and broker.proxy_password_file"),
    "wrong password, socks5": (wrong_password, Microsocks, "refuses the user proxy-user or the "
                               "password: check broker.proxy and broker.proxy_password_file"),
    "no user, http": (no_user, Tinyproxy, "demands a user name and a password (407 Proxy "
                      "Authentication Required): write the user into broker.proxy"),
    "no user, socks5": (no_user, Microsocks, "demands a user name and a password, or refuses this "
                        "machine: write the user into broker.proxy"),
    "forbidden port": (forbidden_port, Tinyproxy, "forbids a connection to localhost:"),
    "no broker, http": (no_broker, Tinyproxy, "has not reached the broker at localhost:1 (500 Unable "
                        "to connect): is the broker running"),
    "no broker, socks5": (no_broker, Microsocks, "nothing listens at localhost:1, the proxy says: is "
                          "the broker running, and is broker.port right?"),
    "no such name, http": (no_name, Tinyproxy, "does the proxy know this name?"),
    "no such name, socks5": (no_name, Microsocks, "it may not know this name"),
    "SOCKS asked as HTTP": (other_scheme, Microsocks, "a SOCKS proxy answers at broker.proxy: write socks5://"),
    "a broker asked as an HTTP proxy": (no_proxy, Tinyproxy, "without an answer to CONNECT: it refuses"),
    "a broker asked as a SOCKS proxy": (no_proxy, Microsocks, "without an answer: it refuses"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_explained(broker, make_daemon, make_proxy, name):
    """Goal: log, status and `check --connect` say in one sentence that it is the proxy, and what to do."""
    cause, program, words = REFUSALS[name]
    proxy, keys = cause(make_proxy, broker, program)
    daemon = through(proxy, make_daemon(broker), **keys).start(wait=None)
    route = f"through the proxy {proxy.name}: "
    line = daemon.wait_log(f"id-test-01: .*{re.escape(words)}")
    reason = daemon.wait_status(lambda now: now["sessions"][0]["reason"])["sessions"][0]["reason"]
    for text in (line, reason):
        assert route in text and words in text, text
    assert is_secret_kept(daemon) and "wrong-word" not in daemon.log()
    daemon.stop()
    bad = only_bad(check(daemon, "--connect"))
    assert bad["check"] == "proxy" and words in bad["detail"], bad
    assert proxies.PASSWORD not in bad["detail"] and "wrong-word" not in bad["detail"]


def test_check_names_each_step(broker, make_daemon, make_proxy):
    """Goal: `check` shows the proxy, and `check --connect` that it opens the way."""
    proxy = make_proxy(Tinyproxy, secret=True)
    daemon = through(proxy, make_daemon(broker))
    found = check(daemon, "--connect")
    assert all(one["good"] for ones in found.values() for one in ones), found
    assert found["proxy name"][0]["detail"] == "127.0.0.1: 127.0.0.1" and "broker name" not in found
    shown, opened = (one["detail"] for one in found["proxy"])
    assert f"{proxy.name}, HTTP CONNECT, as user proxy-user" in shown
    assert f"localhost:{broker.tls_port} through the proxy {proxy.name}" in opened
    assert found["TCP"][0]["detail"] == f"{proxy.name} accepts connections"
    assert proxies.PASSWORD not in foxtrackrctl(daemon, "check", "--connect").stdout
    proxy.kill()
    bad = only_bad(check(daemon, "--connect"))
    assert bad["check"] == "TCP" and "is the proxy running" in bad["detail"]
    daemon.configure(broker={"proxy": "http://proxy-user@no.such.name.invalid:3128"})
    bad = only_bad(check(daemon))
    assert bad["check"] == "proxy name" and "correct broker.proxy" in bad["detail"]


def test_a_certificate_is_explained_through_the_proxy(pki, make_daemon, make_proxy):
    """Goal: the handshake that explains a failure goes the same way."""
    server = TlsRecorder(pki, "expired")
    try:
        daemon = through(make_proxy(Tinyproxy), make_daemon(server)).start(wait=None)
        line = daemon.wait_log(r"certificate.*expired")
        assert "through the proxy" in line
        daemon.stop()
    finally:
        server.close()


def test_a_credential_holds_the_password(broker, make_daemon, make_proxy, tmp_path):
    """Goal: a credential named foxtrackrd.proxy-password is as good as proxy_password_file."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "foxtrackrd.proxy-password").write_text(proxies.PASSWORD)
    daemon = make_daemon(broker, environment={"CREDENTIALS_DIRECTORY": str(credentials)})
    daemon.configure(broker={"proxy": make_proxy(Tinyproxy, secret=True).url})
    daemon.start()
    daemon.stop()


def test_check_cannot_read_a_credential(broker, make_daemon, make_proxy):
    """Goal: `check --connect` without the service's credential says that it may be that."""
    daemon = make_daemon(broker, broker={"proxy": make_proxy(Microsocks, secret=True).url})
    detail = only_bad(check(daemon, "--connect"))["detail"]
    assert "no password is set: see broker.proxy_password_file; tried without a password: if the " \
        "service has a credential, see the examples" in detail


def test_the_passwords_file_is_not_written(broker, make_daemon):
    """Goal: the file with the password for the proxy may hold that for the broker, and is no place for
    the log."""
    daemon = make_daemon(broker, broker={"proxy": "http://me@127.0.0.1:1"})
    path = daemon.directory / "secret.log"
    path.touch(mode=0o600)
    path.write_text("staple\n")
    daemon.configure(broker={"password_file": path, "proxy_password_file": path})
    run(FOXTRACKRD, "--check-config", "-c", daemon.config)
    daemon.configure(broker={"password_file": daemon.password_path},
                     log={"target": "file", "file": path})
    daemon.start(wait=None)
    assert daemon.wait_exit() == 78
    assert "broker.proxy_password_file" in daemon.log() and path.read_text() == "staple\n"


def test_a_stop_does_not_wait_for_a_proxy(broker, make_daemon):
    """Goal: a proxy that does not answer does not hold SIGTERM up."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        daemon = make_daemon(broker, broker={"proxy": url}).start(wait=None)
        connection, _ = mute.accept()
        with connection:
            assert connection.recv(4096).startswith(b"CONNECT localhost:")
            daemon.stop()
