"""The demonstration, and the example messages that it, the manual and the README name."""

import collections
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil

import pytest

from harness import BUILD, FOXTRACKRCTL, ROOT, has_adapted_paho, query, run

EXAMPLES = ROOT / "packaging/examples"
INSTALLED = "/usr/share/doc/foxtrackrd/examples/"
DOCUMENTS = ["README.md", "daemon/foxtrackrctl.8"]
TRACKERS = 1000 if has_adapted_paho() else 200
"""The shared library of Paho searches a list of all messages that wait for each message: with a thousand trackers for minutes."""


def chapter(shown, title):
    """The text below a title."""
    return shown.split(f"\n{title}\n{'-' * len(title)}\n")[1].split("\n---")[0]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The output of the demonstration, and its directory."""
    directory = tmp_path_factory.mktemp("demo")
    environment = {**os.environ, "FOXTRACKR_DEMO_DIR": str(directory), "FOXTRACKR_DEMO_TRACKERS": str(TRACKERS)}
    return run(ROOT / "tests/demo", BUILD, env=environment, timeout=120).stdout, directory


def test_demo_tells_one_story(demo):
    """Goal: the bar grows, is full when the demonstration says so, and nothing else tells of the state."""
    shown, directory = demo
    bars = re.findall(r"^  \[(#*)(\.*)\] +(\d+) of (\d+) messages", shown, re.MULTILINE)
    assert bars and [len(full) for full, *_ in bars] == sorted(len(full) for full, *_ in bars)
    full, empty, arrived, messages = bars[-1]
    assert (len(full), empty, arrived) == (28, "", messages)
    assert shown.index("Caught up") > shown.rindex("[####") and shown.count("Caught up") == 1
    assert "READY" not in shown
    assert query(directory / "foxtrackr.db", "SELECT received, stopped_ms >= started_ms FROM runs") \
        == [(int(messages), 1)]
    assert chapter(shown, "foxtrackrctl status").count("\n") > 10


def test_demo_tells_the_truth(demo):
    """Goal: the numbers of its story are those of the database."""
    shown, directory = demo
    [(trackers, grouped, groups, messages)] = re.findall(
        r"(\d+) trackers, (\d+) of them in (\d+) groups, .*: (\d+) messages", shown)
    [(garbage, other)] = re.findall(r"(\d+) messages are garbage, and (\d+) have a type", shown)
    counted = query(directory / "foxtrackr.db", """
        SELECT (SELECT count(DISTINCT device) FROM battery), (SELECT count(*) FROM device_groups),
               (SELECT count(DISTINCT group_name) FROM device_groups),
               (SELECT received FROM runs), (SELECT quarantined FROM runs), (SELECT count(*) FROM messages)""")
    assert counted == [tuple(map(int, (trackers, grouped, groups, messages, garbage, other)))]


def test_demo_answers_its_questions(demo):
    """Goal: below each question there is a table with a row at least."""
    shown, _ = demo
    script = (ROOT / "tests/demo").read_text(encoding="utf-8")
    questions = re.search('^QUESTIONS="((?:[^"])*)"', script, re.MULTILINE)[1].splitlines()
    assert len(questions) >= 5
    for question in questions:
        assert chapter(shown, question).count("\n│ ") >= 2, question  # the heading, and a row


def rows_shown(shown, question):
    """The rows of the table below a question."""
    lines = [line for line in chapter(shown, question).splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines[1:]]


@pytest.fixture(scope="module")
def truth(demo):
    """What is true of each tracker, by its name: tests/tracker.c."""
    lines = (demo[1] / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    return {one["device"]: one for one in map(json.loads, lines)}


def test_battery_answers_of_the_demo_are_true(demo, truth):
    """Goal: a forecast is within a fifth of the truth for nearly every tracker, recharged or not, and a
    tracker that is silent has none."""
    shown, directory = demo
    now_ms = max(one["last_ms"] for one in truth.values())
    answers = {device: (rate, empty_ms) for device, rate, empty_ms in query(
        directory / "foxtrackr.db", "SELECT device_id, pct_per_day, empty_ms FROM battery_trend")}
    speaking = {device for device, one in truth.items() if not one["silent"]}
    assert set(answers) == speaking
    recharged = {device for device in speaking if truth[device]["recharges"]}
    assert min(len(recharged), len(speaking - recharged)) > TRACKERS / 10
    for some in (recharged, speaking - recharged):
        right = [device for device in some
                 if abs(abs(answers[device][0]) / truth[device]["pct_per_day"] - 1) <= 0.2
                 and abs((answers[device][1] - now_ms) / (truth[device]["empty_ms"] - now_ms) - 1) <= 0.2]
        assert len(right) >= 0.95 * len(some)
    question = "How fast do the batteries discharge, and when will they be empty?"
    assert {row[0] for row in rows_shown(shown, question)} <= speaking


def test_silence_in_the_demo_is_true(demo, truth):
    """Goal: the silent trackers are those that fell silent, and the gaps are these and the pauses."""
    shown, directory = demo
    silent = {device for device, one in truth.items() if one["silent"]}
    assert len(silent) == 2
    assert {row[0] for row in rows_shown(shown, "Which devices have been silent?")} == silent
    expected = {(device, kind, one["last_ms"] if one["silent"] else one["before_pause_ms"],
                 None if one["silent"] else one["after_pause_ms"])
                for device, one in truth.items() for kind in ("bat", "temp")
                if one["silent"] or one["after_pause_ms"]}
    assert len(expected) == 10
    assert set(query(directory / "foxtrackr.db",
                     "SELECT device_id, type, from_ms, to_ms FROM reporting_gaps")) == expected
    shown_gaps = {row[0] for row in rows_shown(shown, "Where are readings missing?")}
    assert shown_gaps <= {device for device, *_ in expected}


def test_excursions_in_the_demo_are_true(demo, truth):
    """Goal: what was too warm is shown with its times, and what is too warm still is open."""
    shown, directory = demo
    expected = {(device, one["warm_first_ms"], one["warm_after_ms"], int(one["warm_after_ms"] is None))
                for device, one in truth.items() if one["warm_first_ms"]}
    assert len(expected) == 3 and sum(is_open for *_, is_open in expected) == 1
    assert set(query(directory / "foxtrackr.db",
                     "SELECT device_id, from_ms, to_ms, open FROM temperature_excursions")) == expected
    assert {row[0] for row in rows_shown(shown, "When was it too warm or too cold?")} \
        == {device for device, *_ in expected}


def test_groups_in_the_demo_are_true(demo, truth):
    """Goal: each group has its trackers and no others."""
    shown, directory = demo
    groups = collections.Counter(one["group"] for one in truth.values() if one["group"])
    size = TRACKERS * 24 // 100 // 4
    assert groups == {"depot-north": size, "depot-south": size, "trailers": size, "reefers": size}
    assert dict(query(directory / "foxtrackr.db",
                      "SELECT group_name, max(devices) FROM group_daily GROUP BY 1")) == groups
    assert {row[0] for row in rows_shown(shown, "How is each group doing?")} == set(groups)


def test_status_in_the_demo_counts_what_is_there(demo):
    """Goal: the daemon's own counts are those of the answers."""
    status = chapter(demo[0], "foxtrackrctl status")
    assert re.search(rf"^ +Devices: {TRACKERS}, counted ", status, re.MULTILINE)
    assert re.search(r"^ +silent +2 ", status, re.MULTILINE)
    assert re.search(r"^ +beyond limits +1 ", status, re.MULTILINE)


@pytest.mark.parametrize("change, found", [
    ("DELETE FROM battery WHERE (device, time_ms) IN (SELECT device, time_ms FROM battery LIMIT 1)", "missing"),
    ("UPDATE temperature SET celsius = celsius + 1 WHERE (device, time_ms) IN"
     " (SELECT device, time_ms FROM temperature LIMIT 1)", "surplus"),
    ("INSERT INTO quarantine SELECT zeroblob(32), topic, payload, reason, detail, 1, 1, 1 FROM quarantine LIMIT 1",
     "rows")])
def test_demo_would_notice_a_loss(demo, tmp_path, change, found):
    """Goal: "every row is there, once, with its values" is said of what was compared."""
    _, directory = demo
    copy = tmp_path / "copy.db"
    shutil.copy(directory / "foxtrackr.db", copy)
    compare = ["sqlite3", "-cmd", f".parameter set @file '{directory}/manifest.jsonl'", copy]
    with open(ROOT / "tests/demo_compare.sql", encoding="utf-8") as sql:
        assert run(*compare, stdin=sql).stdout == ""
    run("sqlite3", copy, change)
    with open(ROOT / "tests/demo_compare.sql", encoding="utf-8") as sql:
        assert found in run(*compare, stdin=sql).stdout


def test_demo_leaves_nothing_running(demo):
    """Goal: broker and daemon end with it."""
    _, directory = demo
    for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            assert str(directory) not in process.read_text(errors="replace"), process


def test_demo_explains_the_duplicates(demo):
    """Goal: nobody takes half of all messages for an error."""
    shown, directory = demo
    [(duplicate,)] = query(directory / "foxtrackr.db", "SELECT duplicate FROM runs")
    assert f'{duplicate} are "duplicate" because each' in shown and "two topics" in shown


def test_commands_at_the_end_of_the_demo_run(demo):
    """Goal: every command that it proposes can be pasted."""
    shown, directory = demo
    commands = re.findall(r"^  (\S.*)$", chapter(shown, "How to go on"), re.MULTILINE)
    commands = [line for line in commands if line.startswith(("/", "sqlite3"))]
    assert len(commands) == 3
    for line in commands:
        run(*shlex.split(line), *([".tables"] if line.startswith("sqlite3") else []))
    [parse] = [line for line in commands if " parse " in line]
    assert json.loads(run(*shlex.split(parse)).stdout)["device"]["device_id"] == "1BBCE"
    for ending, file in re.findall(r"ends in (\w+), (\w+\.json)", shown.replace("\n      ", " ")):
        other = parse.replace("/bat ", f"/{ending} ").replace("battery.json", file)
        assert run(*shlex.split(other)).returncode == 0


def test_demo_ends_with_the_report(demo):
    """Goal: the last thing that it says is where the page is."""
    shown, directory = demo
    said = chapter(shown, "The report").splitlines()[0].strip()
    assert said == str(directory / "report.html")
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!") and "1BBCE" in page


def test_queries_of_the_readme_return_rows(demo):
    """Goal: who pastes a query of the front page on the demonstration's database sees something."""
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^ +sqlite> (.*;)", front, re.MULTILINE)
    assert len(shown) >= 5
    for sql in shown:
        assert query(demo[1] / "foxtrackr.db", sql), sql


def documented():
    """(document, topic, file, output) of every parse of an example that a document shows."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text().replace("\\e", "\\").replace("\\\n", "")
        for topic, file, output in re.findall(
                rf"^ *\$ foxtrackrctl parse (\S+)\s+{INSTALLED}(\S+)\n((?: *[{{\"].*\n)+)", text,
                re.MULTILINE):
            yield document, topic, file, output


DOCUMENTED = list(documented())


def test_every_kind_of_message_is_documented():
    """Goal: one example of each kind, and the manual shows what becomes of it."""
    shown = {file for document, _, file, _ in DOCUMENTED if document == "daemon/foxtrackrctl.8"}
    assert shown == {file.name for file in EXAMPLES.glob("*.json")} == {
        "battery.json", "temperature.json", "other.json"}
    assert {document for document, *_ in DOCUMENTED} == set(DOCUMENTS)


@pytest.mark.parametrize("document, topic, file, output", DOCUMENTED)
def test_example_becomes_the_row_that_is_documented(document, topic, file, output):
    """Goal: what the documents say about the examples is what the program prints."""
    printed = run(FOXTRACKRCTL, "parse", topic, EXAMPLES / file).stdout
    assert json.loads(printed) == json.loads(output)
