"""The demonstration, and the example messages that it, the manual and the README name."""

import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil

import pytest

from harness import BUILD, FOXTRACKRCTL, ROOT, query, run

EXAMPLES = ROOT / "packaging/examples"
INSTALLED = "/usr/share/doc/foxtrackrd/examples/"
DOCUMENTS = ["README.md", "daemon/foxtrackrctl.8"]


def chapter(shown, title):
    """The text below a title."""
    return shown.split(f"\n{title}\n{'-' * len(title)}\n")[1].split("\n---")[0]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The output of the demonstration, and its directory."""
    directory = tmp_path_factory.mktemp("demo")
    environment = {**os.environ, "FOXTRACKR_DEMO_DIR": str(directory)}
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
    [(trackers, groups, messages)] = re.findall(r"(\d+) trackers in (\d+) groups, .*: (\d+) messages", shown)
    [(garbage, other)] = re.findall(r"(\d+) messages are garbage, and (\d+) have a type", shown)
    counted = query(directory / "foxtrackr.db", """
        SELECT (SELECT count(DISTINCT device) FROM battery), (SELECT count(DISTINCT group_name) FROM device_groups),
               (SELECT received FROM runs), (SELECT quarantined FROM runs), (SELECT count(*) FROM messages)""")
    assert counted == [tuple(map(int, (trackers, groups, messages, garbage, other)))]


def test_demo_answers_its_questions(demo):
    """Goal: below each question there is a table with a row at least."""
    shown, _ = demo
    script = (ROOT / "tests/demo").read_text(encoding="utf-8")
    questions = re.search('^QUESTIONS="((?:[^"])*)"', script, re.MULTILINE)[1].splitlines()
    assert len(questions) >= 5
    for question in questions:
        assert chapter(shown, question).count("\n│ ") >= 2, question  # the heading, and a row


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
    commands = re.findall(r"^  (\S.*)$", shown.split("How to go on\n")[1], re.MULTILINE)
    commands = [line for line in commands if line.startswith(("/", "sqlite3"))]
    assert len(commands) == 3
    for line in commands:
        run(*shlex.split(line), *([".tables"] if line.startswith("sqlite3") else []))
    [parse] = [line for line in commands if " parse " in line]
    assert json.loads(run(*shlex.split(parse)).stdout)["device"]["device_id"] == "1BBCE"
    for ending, file in re.findall(r"ends in (\w+), (\w+\.json)", shown.replace("\n      ", " ")):
        other = parse.replace("/bat ", f"/{ending} ").replace("battery.json", file)
        assert run(*shlex.split(other)).returncode == 0


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
    assert shown == {file.name for file in EXAMPLES.iterdir()} == {
        "battery.json", "temperature.json", "other.json"}
    assert {document for document, *_ in DOCUMENTED} == set(DOCUMENTS)


@pytest.mark.parametrize("document, topic, file, output", DOCUMENTED)
def test_example_becomes_the_row_that_is_documented(document, topic, file, output):
    """Goal: what the documents say about the examples is what the program prints."""
    printed = run(FOXTRACKRCTL, "parse", topic, EXAMPLES / file).stdout
    assert json.loads(printed) == json.loads(output)
