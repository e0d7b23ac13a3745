"""The option --protocol of every campaign: the daemon's configuration, and a look at the broker's ledger."""

import argparse
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mqtt  # noqa: E402
from broker import FaultBroker  # noqa: E402
from daemon import ALTERNATE, TURNS, Daemon, add_protocol  # noqa: E402
from small_client import Client  # noqa: E402


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes a daemon that never runs, and says which version each of its starts would have had."""
    monkeypatch.setattr(Daemon, "launch", lambda daemon: None)

    def make(broker=None, starts=3, scenario="00002", **options):
        daemon = Daemon(tmp_path / scenario / "daemon", broker, tmp_path, **options)
        versions = []
        for _ in range(starts):
            daemon.start(wait=None)
            lines = daemon.config.read_text().splitlines()
            versions.append([line for line in lines if line.startswith("protocol")])
        return daemon, versions
    return make


@pytest.mark.parametrize("protocol, expected", [
    (None, [[], [], []]),
    ("5", [["protocol = 5"]] * 3),
    ("3.1.1", [["protocol = 3.1.1"]] * 3),
    (ALTERNATE, [["protocol = 3.1.1"], ["protocol = 5"], ["protocol = 3.1.1"]]),
])
def test_configuration(made, monkeypatch, protocol, expected):
    """Goal: the key is written when the campaign or a scenario asks for it, and never otherwise."""
    assert made(protocol=protocol)[1] == expected
    monkeypatch.setattr(Daemon, "protocol", protocol)
    assert made()[1] == expected
    assert made(protocol="5")[1] == [["protocol = 5"]] * 3, "a scenario has its own"


def test_turns(made, monkeypatch):
    """Goal: with `turns` every other scenario has MQTT 3.1.1, through all its starts."""
    monkeypatch.setattr(Daemon, "protocol", TURNS)
    for scenario, expected in (("00002", []), ("0013", ["protocol = 3.1.1"]), ("other", [])):
        assert made(scenario=scenario)[1] == [expected] * 3, scenario


def test_option():
    """Goal: a campaign takes these words, and has none of them by default."""
    parser = argparse.ArgumentParser()
    add_protocol(parser)
    for words in ([], ["--protocol", "5"], ["--protocol", "3.1.1"], ["--protocol", ALTERNATE],
                  ["--protocol", TURNS]):
        assert parser.parse_args(words).protocol == (words[1] if words else None)
    with pytest.raises(SystemExit):
        parser.parse_args(["--protocol", "4"])


def test_other_version_is_caught(made, tmp_path):
    """Goal: a campaign fails when the daemon speaks another version than it was told."""
    broker = FaultBroker(tmp_path / "broker").start()
    try:
        for version in mqtt.VERSIONS:
            Client(broker, ":memory:", version=version).die()
        made(broker, protocol=ALTERNATE)[0].check_protocol()
        made(broker)[0].check_protocol()
        for protocol in ("3.1.1", "5"):
            with pytest.raises(AssertionError, match=f"{protocol} is configured"):
                made(broker, protocol=protocol)[0].check_protocol()
    finally:
        broker.close()
