"""
The sample alerts, run by Prometheus's own promtool over a made-up history: each fires when it should,
and none of the others then.
"""

import itertools
import json

import pytest
import yaml

import harness
from harness import run

pytestmark = pytest.mark.long

RULES = harness.ROOT / "packaging" / "prometheus" / "foxtrackrd.rules.yml"
DASHBOARD = harness.ROOT / "packaging" / "grafana" / "foxtrackrd.json"
HOURS = 12
SAMPLES = HOURS * 60
NOBODY = "_"
"""promtool's word for a sample that was not scraped"""

HEALTHY = {
    "build_info": "1x{n}",
    "start_timestamp_seconds": "-200000x{n}",
    "status_timestamp_seconds": "0+60x{n}",
    "status_interval_seconds": "5x{n}",
    'thread_age_seconds{thread="writer"}': "0x{n}",
    'session_connected{client_id="id-a-01"}': "1x{n}",
    'session_subscribed{client_id="id-a-01"}': "1x{n}",
    'session_connects_total{client_id="id-a-01"}': "1x{n}",
    'session_refused_qos0_messages_total{client_id="id-a-01"}': "0x{n}",
    'quarantined_messages_total{reason="json"}': "3x{n}",
    'quarantined_messages_total{reason="empty"}': "0+100x{n}",
    "database_up": "1x{n}",
    "log_reader_age_seconds": "0x{n}",
    "clock_behind": "0x{n}",
    "retention_waits": "0x{n}",
    "lag_seconds": "5x{n}",
    "last_message_timestamp_seconds": "0+60x{n}",
    "filesystem_free_bytes": "1e10x{n}",
    "filesystem_min_free_bytes": "1e8x{n}",
    "space_left_seconds": "1e8x{n}",
    "quarantined_ratio": "0.5x{n}",
    "gaps": "1x{n}",
    "devices": "1000x{n}",
    "silent_devices": "50x{n}",
    "temperature_excursions": "0x{n}",
    "batteries_low": "50x{n}",
    "catching_up": "0x{n}",
    "last_gap_timestamp_seconds": "-200000x{n}",
    'certificate_expiry_timestamp_seconds{certificate="broker"}': "1e9x{n}",
}
"""A daemon that is well, a sample a minute. The time begins at 0; {n} is the number of samples."""

CASES = {
    "all is well": ({}, 0, set()),
    "never heard of": ({name: None for name in HEALTHY}, 1, {"NoMetrics"}),
    "stopped for hours": ({name: f"{value.format(n=60)} {NOBODY}x660"
                           for name, value in HEALTHY.items()}, 10, {"NoMetrics"}),
    "file not written": ({"status_timestamp_seconds": "0+60x60 3600x660"}, 1.1, {"Stale"}),
    "written every 10 minutes": ({
        "status_interval_seconds": "600x{n}",
        "status_timestamp_seconds": " ".join(f"{at}x9" for at in range(0, HOURS * 3600, 600))},
        5.16, set()),
    "thread does not move": ({'thread_age_seconds{thread="writer"}': "61+60x{n}"}, 0.1,
                             {"ThreadStuck"}),
    "not connected": ({'session_connected{client_id="id-a-01"}': "0x{n}",
                       'session_subscribed{client_id="id-a-01"}': "0x{n}"}, 0.5, {"NotConnected"}),
    "comes and goes": ({'session_connected{client_id="id-a-01"}': "0 1 " * (SAMPLES // 2),
                        'session_subscribed{client_id="id-a-01"}': "0 1 " * (SAMPLES // 2),
                        'session_connects_total{client_id="id-a-01"}': "0+0.5x{n}"}, 2,
                       {"Reconnecting"}),
    "filter refused": ({'session_subscribed{client_id="id-a-01"}': "0x{n}"}, 0.5,
                       {"NotSubscribed"}),
    "a reader keeps the log": ({"log_reader_age_seconds": "60+60x{n}"}, 0.2, {"ReaderKeepsLog"}),
    "readers that come and go": ({"log_reader_age_seconds": "5 0 " * (SAMPLES // 2)}, 1, set()),
    "clock a day behind": ({"clock_behind": "1x{n}",
                            "start_timestamp_seconds": "-86400x{n}",
                            "status_timestamp_seconds": "-86400+60x{n}",
                            "lag_seconds": "0x{n}",
                            "last_message_timestamp_seconds": "-86400+60x{n}"}, 0.5,
                           {"ClockBehind"}),
    "clock behind until a time server answers": ({"clock_behind": "1x5 0x715"}, 0.2, set()),
    "retention is about to delete much": ({"retention_waits": "1x59 0x660"}, 0,
                                          {"RetentionWaits"}),
    "it has deleted": ({"retention_waits": "1x59 0x660"}, 1.5, set()),
    "database stalled": ({"database_up": "0x{n}"}, 0.1, {"DatabaseStalled"}),
    "nothing comes after a restart": ({"start_timestamp_seconds": "0x{n}",
                                       "lag_seconds": "22000+60x{n}",
                                       "last_message_timestamp_seconds": "-22000x{n}"}, 1,
                                      {"NoMessages", "LagGrowing"}),
    "readings become older": ({"lag_seconds": "3000+60x{n}"}, 1, {"LagGrowing"}),
    "a catch-up": ({"lag_seconds": "600000-600x{n}"}, 1, set()),
    "nothing is understood": ({"quarantined_ratio": "0.51x{n}"}, 0.2, {"MostInQuarantine"}),
    "garbage for a moment": ({"quarantined_ratio": "0.9x4 0.1x715"}, 0.2, set()),
    "garbage": ({'quarantined_messages_total{reason="json"}': "3+1x{n}"}, 1,
                {"QuarantineGrowing"}),
    "garbage before the first scrape": ({
        "start_timestamp_seconds": "0x{n}",
        'quarantined_messages_total{reason="json"}': "5000x{n}"}, 0.1, {"QuarantineGrowing"}),
    "the same, later": ({"start_timestamp_seconds": "0x{n}",
                         'quarantined_messages_total{reason="json"}': "5000x{n}"}, 1.1, set()),
    "a session lost in the first second": ({"start_timestamp_seconds": "0x{n}", "gaps": "2x{n}",
                                            "last_gap_timestamp_seconds": "1x{n}"}, 0.1,
                                           {"MessagesLost"}),
    "a session lost hours ago": ({"last_gap_timestamp_seconds": "1x{n}"}, 11, {"MessagesLost"}),
    "a QoS 0 message refused": ({
        'session_refused_qos0_messages_total{client_id="id-a-01"}': "0x60 1x660"}, 1.1,
        {"MessagesLost"}),
    "one refused before the first scrape": ({
        "start_timestamp_seconds": "0x{n}",
        'session_refused_qos0_messages_total{client_id="id-a-01"}': "1x{n}"}, 0.1,
        {"MessagesLost"}),
    "the database fills the disk": ({"space_left_seconds": "200000x{n}"}, 0.5, {"DiskFull"}),
    "others fill the disk": ({"filesystem_free_bytes": "1e10-2.5e6x{n}"}, 4, {"DiskFull"}),
    "all of a pair wait": ({"standby": "1x{n}"}, 0.1, {"NobodyStores"}),
    "a daemon that stores": ({"standby": "0x{n}"}, 0.1, set()),
    "a server that comes and goes": ({"database_reconnects_total": "0+0.5x{n}"}, 2, {"ServerUnsteady"}),
    "many devices are silent": ({"silent_devices": "51x{n}"}, 1, {"DevicesSilent"}),
    "silent while a backlog is caught up": ({"silent_devices": "1000x120 0x{n}",
                                             "catching_up": "1x120 0x{n}"}, 1.9, set()),
    "silent for a moment": ({"silent_devices": "900x20 0x{n}"}, 0.4, set()),
    "a temperature beyond its limit": ({"temperature_excursions": "0x60 1x{n}"}, 1.1,
                                       {"TemperatureExcursion"}),
    "many batteries are low": ({"batteries_low": "51x{n}"}, 2, {"BatteriesLow"}),
    "the certificate expires": ({
        'certificate_expiry_timestamp_seconds{certificate="broker"}': "1000000x{n}"}, 0,
        {"CertificateExpires"}),
}
"""Differences from a daemon without problems, the time at which Prometheus is asked (hours), and the
alerts that fire."""


@pytest.fixture(name="promtool")
def fixture_promtool():
    return harness.find_promtool()


def series(name, values):
    family, _, labels = name.partition("{")
    labels = "".join(f",{label}" for label in labels.rstrip("}").split(",") if label)
    return {"series": f'foxtrackrd_{family}{{instance="host",database="/fox.db"{labels}}}',
            "values": values.format(n=SAMPLES)}


def rule_test(name, different, expected):
    """A test of promtool's; `expected` has tuples: hours, expression, alerts."""
    values = {**HEALTHY, **different}
    return {"name": name, "interval": "1m",
            "input_series": [series(*one) for one in values.items() if one[1] is not None],
            "promql_expr_test": [
                {"expr": expression, "eval_time": f"{round(hours * 3600)}s",
                 "exp_samples": [{"labels": f'{{alertname="Foxtrackrd{alert}"}}', "value": 1}
                                 for alert in sorted(alerts)]}
                for hours, expression, alerts in expected]}


def check(promtool, tests, path):
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m",
                                    "tests": tests}))
    done = run(promtool, "test", "rules", path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should(promtool, tmp_path):
    """Goal: each alert fires in its case, and nothing else does."""
    firing = 'max by (alertname) (ALERTS{alertstate="firing"})'
    check(promtool, [rule_test(name, different, [(hours, firing, alerts)])
                     for name, (different, hours, alerts) in CASES.items()], tmp_path / "cases.yml")


def test_every_alert_has_a_case():
    """Goal: no alert is shipped that was not seen to fire."""
    alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"]
              for rule in group["rules"]}
    assert {f"Foxtrackrd{alert}" for _, _, fires in CASES.values() for alert in fires} == alerts


def test_one_large_file_is_no_full_disk(promtool, tmp_path):
    """Goal: a backup that takes a tenth of the space in a moment does not even make the alert on
    the disk pending, at any minute of the hours that follow."""
    anything = 'max by (alertname) (ALERTS{alertname="FoxtrackrdDiskFull"})'
    check(promtool, [rule_test("backup", {"filesystem_free_bytes": "1e10x180 9e9x540"},
                               [(minute / 60, anything, set()) for minute in range(179, 500)])],
          tmp_path / "backup.yml")


def test_panels_of_the_dashboard_do_not_overlap():
    """Goal: every panel of the dashboard has its place to itself."""
    taken = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for cell in itertools.product(range(at["x"], at["x"] + at["w"]),
                                      range(at["y"], at["y"] + at["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]
