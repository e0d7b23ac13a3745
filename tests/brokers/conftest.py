"""Fixtures of the tests against other brokers. Their parts are those of the system tests."""

import os
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[1:1] = [str(TESTS / "system"), str(TESTS)]

# The hooks of pytest that name what is left out, and what they need.
from left_out import NO_MATTER, pytest_sessionfinish, pytest_terminal_summary  # noqa: E402, F401

import harness  # noqa: E402
from client import Client, Closed  # noqa: E402
from foxtrackrd import Daemon  # noqa: E402
from servers import SERVERS  # noqa: E402

WHERE = pathlib.Path(os.environ.get("FOXTRACKR_BROKERS", harness.BUILD / "brokers"))
PROTOCOLS = ("3.1.1", "auto")
FALLING_BACK = {"test_backlog", "test_kill", "test_restart_of_the_broker", "test_change_of_protocol"}
"""Tests that run with `auto` also where the broker speaks MQTT 3.1.1 alone: the daemon must find that."""


def name_of(request):
    """The name of the test, without what stands in brackets."""
    return request.node.name.partition("[")[0]


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items):
    """All tests of one broker run in one process, in which it is started once."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.callspec.params["server"]))


@pytest.fixture(scope="module", params=SERVERS)
def server(request, tmp_path_factory):
    """A running broker, one for all tests of it; each test has a client id of its own."""
    missing = WHERE / f"{request.param}.missing"
    if missing.exists():
        pytest.skip(f"{request.param} cannot be had: {missing.read_text().strip()}")
    one = SERVERS[request.param](WHERE, tmp_path_factory.mktemp(request.param))
    try:
        yield one.start()
    finally:
        print(f"--- the last lines of {one.name}\n{one.log()}")
        one.close()


@pytest.fixture(autouse=True)
def running(server):
    """The broker runs again, whatever the test before has left."""
    if server.process is None or server.process.poll() is not None:
        server.kill()
        server.start()


@pytest.fixture(params=PROTOCOLS)
def protocol(request, server):
    """broker.protocol of the daemon. With auto it must speak MQTT 5 wherever the broker does."""
    if request.param == "auto" and 5 not in server.versions and name_of(request) not in FALLING_BACK:
        pytest.skip(f"{NO_MATTER}{server.name} does not speak MQTT 5")
    return request.param


@pytest.fixture
def make_daemon(server, protocol, tmp_path, request):
    """A function that makes a daemon for the broker, not yet started. Its session ends with the test."""
    made = []

    def make(**sections):
        number = len(made)
        one = Daemon(tmp_path / f"daemon-{number}", None)
        name = f"id-{name_of(request)}-{protocol[0]}-{number}"
        broker = {"host": "localhost", "port": server.port, "tls": "no", "ca_file": None,
                  "username": server.username, "protocol": protocol,
                  "password_file": one.password_path if server.username else None}
        session = {"given": None, "client_id": name, "qos": server.granted_qos, "filters": "foxtrackr/#"}
        one.configure(broker=broker, session={**session, **sections.pop("session", {})},
                      parser=server.parser, **sections)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()
        try:
            Client(server, one.sections["session"]["client_id"], clean=True).disconnect()
        except (OSError, Closed):
            pass  # the broker has been stopped
