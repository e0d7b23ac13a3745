"""The README: commands, options, files and messages that it names are there, and its broker works."""

import re

import pytest

import broker as brokers
import fleet
from harness import FOXTRACKRCTL, ROOT, find_program, query, run
from test_snippets import markdown_blocks

README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCES = [*ROOT.glob("daemon/**/*.[ch]"), *ROOT.glob("lib/*.[ch]")]
TROUBLESHOOTING = README.split("\n## Troubleshooting\n")[1].split("\n## ")[0]

STRING = r'"(?:[^"\\\n]|\\.)*"'
"""A string of C; those that follow each other are one."""

THEIRS = re.compile("Connection refused|disk is full|disk I/O error")
"""The C library and SQLite say that."""


def said_by_the_programs():
    """Every string of the sources, one a line, without what C needs."""
    for source in SOURCES:
        text = re.sub(r"/\*.*?\*/", "", source.read_text(encoding="utf-8"), flags=re.DOTALL)
        for strings in re.findall(rf"{STRING}(?:\s*(?:PRI\w+\s*)?{STRING})*", text):
            yield "".join(one[1:-1] for one in re.findall(STRING, strings)).replace('\\"', '"')


SAID = "\n".join(said_by_the_programs())


def messages():
    """Every message of the table: the code in the first column."""
    for cell in re.findall(r"^\| (.*?) \| ", TROUBLESHOOTING, re.MULTILINE):
        yield from re.findall("`([^`]+)`", cell)


def fixed_parts(message):
    """The parts of a message that stand in one string of the sources, which have a %s for others."""
    parts = re.split(r"^(?:… )?is |…|[0-9]+|: | and (?=no )", THEIRS.sub("…", message))
    return [part.strip(" ()") for part in parts if len(part.strip(" ()")) >= 5]


MESSAGES = [message for message in messages() if "192.0.2.7" not in message]  # addresses alone


def test_messages_are_found():
    """Goal: the tests below look at the messages of the table."""
    assert len(MESSAGES) > 50
    assert [message for message in MESSAGES if not fixed_parts(message)] == []


@pytest.mark.parametrize("message", MESSAGES)
def test_message_is_one_of_the_programs(message):
    """Goal: who searches the table for a message of the log finds it as the program says it."""
    assert [part for part in fixed_parts(message) if part not in SAID] == []


def commands(program):
    """The words behind the name of a program, in text and in blocks, up to the end of the command."""
    for command in re.findall(rf"\b{program} ([^`\n|;#)]+)", README):
        yield command.split()


def test_commands_and_options_exist():
    """Goal: no command of the README is refused: foxtrackrctl has it, with that option."""
    helped = run(FOXTRACKRCTL, "--help").stdout
    known = {name: set(re.findall(r"--[a-z-]+", run(FOXTRACKRCTL, "help", name).stdout))
             for name in re.findall(r"^  ([a-z]+) ", helped, re.MULTILINE)}
    assert len(known) >= 9
    shown = [(first, words) for first, *words in commands("foxtrackrctl")]
    assert len(shown) > 20
    for command, words in shown:
        assert command in known, command
        options = {word for word in words if re.fullmatch("--[a-z-]+", word)}
        assert options <= known[command], (command, options)


def test_make_targets_exist():
    """Goal: every `make TARGET` can be typed."""
    files = [ROOT / "Makefile", *ROOT.glob("*/*.mk"), *ROOT.glob("*/*/*.mk"), *ROOT.glob("daemon/**/*.mk")]
    rules = {name for file in files for names in
             re.findall(r"^([a-z0-9][a-z0-9 -]*):(?!=)", file.read_text(encoding="utf-8"), re.MULTILINE)
             for name in names.split()}
    targets = set(re.findall(r"(?:`|^    |sudo )make ([a-z][a-z0-9-]*)", README, re.MULTILINE))
    assert {"demo", "check", "check-all", "deb", "install", "deps-build", "bench"} <= targets
    assert targets - rules == set()


def test_files_and_functions_exist():
    """Goal: every link leads somewhere, and the tour names files and functions that are there."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        assert "://" in target or (ROOT / target).exists(), target
    files = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:[chy]|mk|py|sql))`", README)
    assert len(files) > 20
    present = ["/" + path.relative_to(ROOT).as_posix() for pattern in ("daemon/**/*", "lib/*", "schema/**/*", "tests/**/*")
               for path in ROOT.glob(pattern)]
    for file in files:
        assert any(path.endswith("/" + file) for path in present), file
    code = "\n".join(source.read_text(encoding="utf-8") for source in SOURCES)
    functions = re.findall(r"`(\w+)\(\)`", README)
    assert functions
    for function in functions:
        assert re.search(rf"^\S.*\b{function}\(", code, re.MULTILINE), function


def test_sections_of_manual_pages_exist():
    """Goal: `man PAGE`, "SECTION" leads to a section of that name."""
    pages = {page.stem: page.read_text(encoding="utf-8")
             for page in [*ROOT.glob("daemon/*.[58]"), *ROOT.glob("lib/*.3")]}
    for page in re.findall(r"`man ([\w.]+)`", README):
        assert page in pages, page
    shown = re.findall(r'`man ([\w.]+)`,? \(?"([^"]+)"', README)
    assert len(shown) >= 4
    for page, section in shown:
        headings = {name.lower() for name in re.findall(r"^\.S[hs] (.*)$", pages[page], re.MULTILINE)}
        assert section.lower() in headings, (page, section)


def test_mosquitto_of_the_readme(tmp_path, pki, make_broker, make_daemon):
    """
    Goal: mosquitto takes the configuration that the README shows for it, and with the two lines of
    the access list the daemon gets its messages.
    """
    [block] = [text for text in markdown_blocks(README) if "\nlistener 8883\n" in text]
    acl = re.search(r"two lines in the acl file,\n?`(user \w+)` and `(topic read \S+)`", README)
    for name, source in (("ca.pem", pki.certificate("ca")), ("server.pem", pki.certificate("server")),
                         ("server.key", pki.key("server"))):
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / "acl").write_text("\n".join([*acl.groups(), f"user {brokers.PUBLISHER}", "topic foxtrackr/#", ""]))
    for option, user, password in (("-c", "foxtrackrd", brokers.PASSWORD),
                                   ("", brokers.PUBLISHER, brokers.PUBLISHER_PASSWORD)):
        run(find_program("mosquitto_passwd"), *option.split(), "-b", tmp_path / "passwords", user, password)
    block = block.replace("/etc/mosquitto/", f"{tmp_path}/").replace(
        "listener 8883\n", "listener {tls_port} 127.0.0.1\n")
    broker = make_broker(config="user root\nlog_dest stderr\npersistence_location {directory}/\n"
                         + block + "\nlistener {plain_port} 127.0.0.1\n")
    daemon = make_daemon(broker, broker={"username": "foxtrackrd"},
                         session={"given": None, "client_id": "foxtrackrd"}).start()
    broker.publish("foxtrackr/1BBCE/V3.0/bat", fleet.battery("1BBCE", fleet.now_ms()))
    daemon.wait_rows(1)
    daemon.stop()
    assert query(daemon.database, "SELECT filter, qos FROM subscriptions") == [("foxtrackr/#", 2)]
