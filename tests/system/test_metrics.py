"""The metrics file, what it documents, and the alerts and the dashboard over it."""

import datetime
import json
import re
import shutil
import stat
import time

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import engines
import fleet
import harness
from harness import change, change_many, has_adapted_paho, run, wait_until

PAGES = harness.ROOT / "daemon"
RULES = harness.ROOT / "packaging" / "prometheus" / "foxtrackrd.rules.yml"
DASHBOARD = harness.ROOT / "packaging" / "grafana" / "foxtrackrd.json"
HOUR_MS = 3_600_000
BROKER_EXPIRES_S = datetime.datetime(
    2049, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc).timestamp()


def families_of(path):
    """The metric families of the file, as the official parser of Prometheus's format reads them."""
    return {f.name: f for f in text_string_to_metric_families(path.read_text())}


def check_conventions(text):
    """Rules that the parser does not check: each family is announced once, before its values; units and
    suffixes are those of Prometheus's conventions."""
    announced = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    names = [name for name, _ in announced]
    assert len(names) == len(set(names)), "a family is announced twice"
    assert re.findall(r"^# HELP (\S+) [A-Z].*\.$", text, re.MULTILINE) == names
    current = None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            current = line.split()[2]
        elif not line.startswith("#"):
            name = re.match(r"[a-z_]+[a-z0-9_]*", line)[0]
            assert name in (current, f"{current}_sum", f"{current}_count"), line
    for name, kind in announced:
        assert name.startswith("foxtrackrd_")
        assert (kind == "counter") == name.endswith("_total"), name
        assert not re.search(r"_(ms|us|milliseconds|kb|mb|percent|pct|days)(_|$)", name), name
    samples = samples_of(text)
    assert len(samples) == len(set(samples)), "a sample is there twice"


def documented_metrics():
    text = (PAGES / "foxtrackrd.8").read_text()
    section = text.split(".Sh METRICS\n")[1].split(".Sh ")[0]
    return set(re.findall(r"^\.It Li (foxtrackrd_\w+)$", section, re.MULTILINE))


CONDITIONAL = {"foxtrackrd_catch_up_done_ratio", "foxtrackrd_catch_up_left_seconds",
               "foxtrackrd_last_gap_timestamp_seconds", "foxtrackrd_space_left_seconds"}
"""Metrics that a young daemon without a catch-up and a gap does not have."""

OF_POSTGRESQL = {"foxtrackrd_standby", "foxtrackrd_database_reconnects_total",
                 "foxtrackrd_database_unknown_commits_total", "foxtrackrd_database_commits_after_all_total"}
"""Metrics of a daemon with PostgreSQL."""

OF_SQLITE = {"foxtrackrd_database_used_bytes", "foxtrackrd_database_wal_bytes", "foxtrackrd_log_reader_age_seconds",
             "foxtrackrd_filesystem_free_bytes", "foxtrackrd_filesystem_min_free_bytes"}

OWN, FOREIGN = (OF_POSTGRESQL, OF_SQLITE) if engines.POSTGRESQL else (OF_SQLITE, OF_POSTGRESQL)
"""Those of the engine that is tested, and of the other one."""

OF_MQTT_5 = {"foxtrackrd_session_receive_maximum_messages", "foxtrackrd_session_expiry_seconds"}


DATABASE_NAME = 'the "north\\new" fleet.db'


def samples_of(text):
    """Every sample by its name and labels, as they are written."""
    return re.findall(r"^([a-z0-9_]+(?:\{.*\})?) ", text, re.MULTILINE)


@pytest.fixture(name="metrics")
def fixture_metrics(broker, make_daemon, tmp_path):
    """The metrics file of a daemon that has seen messages, garbage and a restart of the broker, and
    whose names have every character that a label must escape."""
    path = tmp_path / "fox.prom"
    daemon = make_daemon(broker, session={"given": None, "client_id": 'id-a"b\\nc',
                                          "filters": 'foxtrackr/#, other/"x\\ny"/+'},
                         database={"path": tmp_path / DATABASE_NAME}, status={"metrics_file": path})
    daemon.start()
    manifest = fleet.play(broker, messages=50, garbage=15)
    daemon.wait_received(manifest.messages)
    broker.restart()
    daemon.wait_status(lambda s: s["sessions"][0]["connects"] == 2
                       and s["sessions"][0]["state"] == "subscribed" and not s["catching_up"]
                       and s["devices"])
    # The next file after that one: it has everything.
    before = path.stat().st_mtime_ns
    wait_until(lambda: path.stat().st_mtime_ns > before, what="a new metrics file")
    copy = tmp_path / "copy.prom"
    shutil.copy(path, copy)
    mode = stat.S_IMODE(path.stat().st_mode)
    labels = {"database": daemon.status()["database"]["path"]}
    if engines.POSTGRESQL:  # which daemons may share
        labels["daemon"] = 'id-a"b\\nc'
    daemon.stop()
    assert not path.exists(), "metrics of a daemon that was stopped"
    return copy, mode, labels


def test_metrics(metrics):
    """Goal: the file is what a Prometheus parser and its conventions expect, foxtrackrd(8) documents
    exactly the metrics that there are, and the numbers are right."""
    path, mode, common = metrics
    assert engines.POSTGRESQL or common["database"] == str(path.parent / DATABASE_NAME)
    assert mode == 0o644, "the node exporter is another user"
    text = path.read_text()
    check_conventions(text)
    families = families_of(path)
    real = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    assert CONDITIONAL & real == set()
    assert real & OF_MQTT_5 == (OF_MQTT_5 if has_adapted_paho() else set())
    assert OWN <= real and FOREIGN & real == set()
    assert documented_metrics() == real | CONDITIONAL | OF_MQTT_5 | FOREIGN

    def number(name, **labels):
        labels.update(common)
        [sample] = [s for f in families.values() for s in f.samples
                    if s.name == f"foxtrackrd_{name}" and s.labels == labels]
        return sample.value

    me = {"client_id": 'id-a"b\\nc'}
    assert number("session_subscribed", **me) == 1
    assert number("session_connects_total", **me) == 2
    assert number("session_protocol_info", protocol="5" if has_adapted_paho() else "3.1.1", **me) == 1
    assert number("filter_granted_qos", filter='other/"x\\ny"/+', **me) == 2
    assert number("messages_total", outcome="stored") == 50
    assert number("messages_total", outcome="quarantined") == 15
    assert number("quarantined_messages_total", reason="topic") == 2
    assert number("certificate_expiry_timestamp_seconds", certificate="broker") \
        == BROKER_EXPIRES_S
    assert 0 <= number("thread_age_seconds", thread="writer") < 60
    assert abs(number("status_timestamp_seconds") - time.time()) < 600
    assert number("commit_duration_seconds_count") > 0
    assert number("gaps") == 0 and number("database_up") == 1


def test_two_daemons_in_one_directory(broker, make_daemon, tmp_path):
    """
    Goal: the node exporter gives nothing at all when two files have a sample in common. Those of two
    daemons have none, and a daemon's samples are the same series after it was started again.
    """
    daemons = [make_daemon(broker, session={"number": f"0{number}"},
                           status={"metrics_file": tmp_path / f"{number}.prom"})
               for number in (1, 2)]

    def samples():
        """Of each daemon; None until both have a file with everything in it."""
        texts = [path.read_text() for path in sorted(tmp_path.glob("*.prom"))]
        whole = [re.search(r"_session_subscribed{.*} 1\n", text) and "_gaps{" in text
                 and "_devices{" in text and 'certificate="broker"' in text for text in texts]
        return [set(samples_of(text)) for text in texts] if whole == [True, True] else None

    for daemon in daemons:
        daemon.start()
    one, other = wait_until(samples, what="two whole metrics files")
    assert len(one) > 50 and one & other == set()
    for daemon in daemons:
        daemon.stop()
        daemon.start()
    wait_until(lambda: samples() == [one, other], what="the same samples as before")
    for daemon in daemons:
        daemon.stop()


def test_metrics_pass_promtool(metrics):
    """Goal: Prometheus's own tool has nothing to say, of the metrics and of the rules."""
    promtool = harness.find_promtool()
    done = run(promtool, "check", "metrics", input=metrics[0].read_text())
    assert done.stdout + done.stderr == ""
    run(promtool, "check", "rules", RULES)


@pytest.mark.long
def test_counts_of_devices(broker, make_daemon, tmp_path):
    """Goal: who is silent, too warm or low is counted in the metrics and in the status, as the views say it;
    a limit that an analyst sets counts without a message and without a restart."""
    path = tmp_path / "fox.prom"
    daemon = make_daemon(broker, status={"metrics_file": path}).start()
    now_ms, messages = fleet.now_ms(), 0
    for device, level, since_h in (("fine", 80, 0), ("low", 14, 0), ("silent", 60, 9)):
        for ago_h in range(since_h, since_h + 6):
            time_ms = now_ms - ago_h * HOUR_MS
            body = json.loads(fleet.battery(device, time_ms))
            body["battery"]["level"] = level
            broker.publish(f"foxtrackr/{device}/V3.0/bat", json.dumps(body))
            broker.publish(f"foxtrackr/{device}/V3.0/temp", fleet.temperature(device, time_ms, celsius=30))
            messages += 2
    daemon.wait_received(messages)
    # Ten seconds after the count at the start, when nothing comes.
    status = daemon.wait_status(lambda s: s["devices"] and s["devices"]["count"] == 3, timeout=40)
    assert {**status["devices"], "counted_ms": 0} == {
        "count": 3, "silent": 1, "temperature_excursions": 0, "batteries_low": 1, "counted_ms": 0}
    change(daemon.database, "INSERT INTO limits (device_id, celsius_max) VALUES ('fine', 29)")
    change_many(daemon.database, "INSERT INTO limits (device_id, level_pct_min) VALUES ('low', ?)", [(5,), (5,)])
    status = daemon.wait_status(lambda s: s["devices"]["temperature_excursions"] == 1, timeout=60)
    assert (status["devices"]["silent"], status["devices"]["batteries_low"]) == (1, 0)
    assert status["devices"]["counted_ms"] >= now_ms
    shown = run(harness.FOXTRACKRCTL, "-c", daemon.config, "status").stdout
    assert re.search(r"^Devices: 3, counted 20\d\d-.*\n +silent +1 .*silent_devices\n"
                     r" +beyond limits +1 .*temperature_excursions\n +low batteries +none$", shown, re.MULTILINE)

    def told():
        families = families_of(path)
        names = ("devices", "silent_devices", "temperature_excursions", "batteries_low")
        return [families[f"foxtrackrd_{name}"].samples[0].value for name in names] == [3, 1, 1, 0]

    wait_until(told, what="the same numbers in the metrics file")
    daemon.stop()


def metrics_named_in(text):
    return set(re.findall(r"foxtrackrd_[a-z0-9_]+", text))


def check_names(named, real):
    """Every name is a family, or the sum or the count of one."""
    known = real | CONDITIONAL | OF_MQTT_5 | FOREIGN | {f"{name}_{part}" for name in real for part in ("sum", "count")}
    assert named - known == set()


def check_aggregation(expression):
    """Daemons that share a node exporter are told apart wherever machines are."""
    for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        names = labels.split(", ")
        assert ("instance" in names or "daemon" in names) == ("database" in names), expression


def test_rules_and_dashboard_name_real_metrics(metrics):
    """Goal: no alert and no panel waits for a metric that does not exist, and each alert says what
    it is about."""
    real = set(re.findall(r"^# TYPE (\S+) ", metrics[0].read_text(), re.MULTILINE))
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"]
             for rule in group["rules"]]
    assert len(rules) >= 10 and len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        named = metrics_named_in(rule["expr"])
        assert named, rule["alert"]
        check_names(named, real)
        check_aggregation(rule["expr"])
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]

    dashboard = json.loads(DASHBOARD.read_text())
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert {"instance", "database"} <= variables
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel["targets"]:
            named = metrics_named_in(target["expr"])
            assert named, panel["title"]
            check_names(named, real)
            check_aggregation(target["expr"])
            for selector in re.findall(r"foxtrackrd_\w+(\S*)", target["expr"]):
                assert 'instance=~"$instance",database=~"$database"' in selector, panel["title"]


NOT_ON_THE_DASHBOARD = {
    # `foxtrackrctl status` tells them in words, and a panel that is there shows their effect.
    "foxtrackrd_session_present", "foxtrackrd_session_connected_timestamp_seconds",
    "foxtrackrd_session_last_error_timestamp_seconds", "foxtrackrd_filter_granted_qos",
    "foxtrackrd_session_held_bytes", "foxtrackrd_strangers_total",
    "foxtrackrd_session_protocol_info", "foxtrackrd_session_receive_maximum_messages",
    "foxtrackrd_session_expiry_seconds",
    "foxtrackrd_last_commit_timestamp_seconds",
    # Other numbers there say the same, or nearly.
    "foxtrackrd_session_received_messages_total", "foxtrackrd_pending_bytes",
    "foxtrackrd_catch_up_done_ratio", "foxtrackrd_rejudged_messages_total",
    "foxtrackrd_devices_counted_timestamp_seconds",
    "foxtrackrd_database_commits_after_all_total",
}
"""Metrics that no panel shows."""


def test_dashboard_shows_what_an_operator_needs():
    """Goal: who is alerted finds each number of the alert on the dashboard, and every metric is
    there or is left out knowingly."""
    rules = metrics_named_in(RULES.read_text())
    shown = metrics_named_in(DASHBOARD.read_text())
    families = {re.sub("_(sum|count)$", "", name) for name in shown}
    assert rules - shown == set()
    assert documented_metrics() - families == NOT_ON_THE_DASHBOARD
    assert len(rules) > 20


def test_panels_have_places_of_their_own():
    """Goal: no panel lies over another or beyond the 24 columns, there are no holes between rows,
    and yes and no are words."""
    places = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = places.setdefault((x, y), panel["title"])
                assert other == panel["title"], f"{panel['title']} lies over {other}"
        assert 0 <= place["x"] and place["x"] + place["w"] <= 24, panel["title"]
        for target in panel["targets"]:
            if re.match("foxtrackrd_(session_(connected|subscribed)|database_up|clock_behind"
                        r"|retention_waits)\b", target["expr"]):
                [mapping] = panel["fieldConfig"]["defaults"]["mappings"]
                assert set(mapping["options"]) == {"0", "1"}, panel["title"]
    rows = {y for _, y in places}
    assert rows == set(range(len(rows)))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_lag_and_last_message_after_a_restart(broker, make_daemon, tmp_path, end):
    """Goal: a daemon to which nothing comes after a restart, however the last run ended, knows from
    the database when the last message came and how old the newest reading is: the alerts on silence
    have their numbers from the first minute."""
    path = tmp_path / "fox.prom"
    daemon = make_daemon(broker, status={"metrics_file": path}).start()
    read_ms = fleet.now_ms() - 5 * HOUR_MS
    for number in range(300):
        broker.publish(f"foxtrackr/r{number % 3}/V3.0/bat",
                       fleet.battery(f"r{number % 3}", read_ms - number))
    daemon.wait_received(300)
    getattr(daemon, end)()
    assert not path.exists() or end == "kill"
    silent_since_ms = fleet.now_ms() - 7 * HOUR_MS
    change(daemon.database, "UPDATE sessions SET last_durable_ms = ?", silent_since_ms)
    change(daemon.database, "UPDATE battery SET received_ms = ?", silent_since_ms)

    daemon.start()
    pid = daemon.process.pid
    status = daemon.wait_status(lambda s: s["pid"] == pid and s["lag_ms"] is not None)
    assert status["counts"]["received"] == 0
    assert status["last_message_ms"] == silent_since_ms
    assert status["updated_ms"] - status["lag_ms"] == read_ms
    assert not status["catching_up"] and "; last message 7 h 0 min ago" in status["text"]
    wait_until(lambda: "foxtrackrd_lag_seconds{" in path.read_text(), what="the lag")
    families = families_of(path)
    [last] = families["foxtrackrd_last_message_timestamp_seconds"].samples
    [lag] = families["foxtrackrd_lag_seconds"].samples
    assert last.value == silent_since_ms / 1000
    assert 5 * 3600 <= lag.value < 5 * 3600 + 600

    # The first message knows better.
    now = fleet.now_ms()
    broker.publish("foxtrackr/r1/V3.0/bat", fleet.battery("r1", now))
    status = daemon.wait_status(lambda s: s["counts"]["received"] == 1)
    assert status["lag_ms"] < HOUR_MS and status["last_message_ms"] >= now - 60_000
    daemon.stop()
