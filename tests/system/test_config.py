"""Mistakes in the configuration, and the command line."""

import os
import stat

import pytest

from foxtrackrd import Daemon
from harness import FOXTRACKRCTL, FOXTRACKRD, run

GOOD = """\
[broker]
host = localhost
port = 18883
ca_file = {directory}/ca.crt
username = reader
password_file = {directory}/password
[session]
given = test
filters = foxtrackr/#
[database]
path = {directory}/foxtrackr.db
[status]
file = {directory}/status.json
[log]
target = stderr
"""

# A line (None: the end of the file), the text in its place, the key that is named, and words of the
# reason. {directory} is filled in; the line number is that of the new line.
MISTAKES = [
    ("port = 18883", "port = 0", "broker.port", "1"),
    ("port = 18883", "port = 65536", "broker.port", "65535"),
    ("port = 18883", "port = mqtt", "broker.port", "mqtt"),
    ("port = 18883", "port =", "broker.port", "no value"),
    ("port = 18883", "prot = 8883", "no key prot", "port"),
    ("port = 18883", "host = elsewhere", "broker.host", "line 2"),
    ("port = 18883", "tls = perhaps", "broker.tls", "yes"),
    ("port = 18883", "keepalive = 1", "broker.keepalive", "5"),
    ("port = 18883", "protocol = 5.0", "broker.protocol", "did you mean 5?"),
    ("port = 18883", "password = secret", "broker.password", "password_file"),
    ("host = localhost", "host = mqtts://localhost", "broker.host", "URL"),
    ("host = localhost", "host = localhost:8883", "broker.host", "port"),
    ("host = localhost", "host = two words", "broker.host", "host name"),
    ("host = localhost", "host = [::1]", "broker.host", "without brackets"),
    ("host = localhost", "host = 127.1", "broker.host", "IPv4"),
    ("username = reader", "username = reader\nkey_file = {directory}/password", "broker.key_file", "cert_file"),
    ("password_file = {directory}/password", "password_file = {directory}/none",
     "broker.password_file", "no such file"),
    ("password_file = {directory}/password", "password_file = password",
     "broker.password_file", "absolute"),
    ("[broker]", "[brokr]", "[brokr]", "broker"),
    ("[session]", "[session a b]", "session", "name"),
    ("given = test", "given = a/b", "session.given", "letters"),
    ("given = test", "given = test\nnumber = one", "session.number", "digits"),
    ("filters = foxtrackr/#", "filters = foxtrackr/#/bat", "session.filters", "#"),
    ("filters = foxtrackr/#", "filters = fox+/bat", "session.filters", "+"),
    ("filters = foxtrackr/#", "filters = a/#, a/#", "session.filters", "twice"),
    ("filters = foxtrackr/#", "filters = a/# b/#", "session.filters", "comma (a/#, b/#)"),
    ("filters = foxtrackr/#", "filters = foxtrackr/+/V3.0/bat   # only the batteries",
     "session.filters", "a line of its own"),
    ("filters = foxtrackr/#", "filters = a \t; b", "session.filters", "a line of its own"),
    ("given = test", "client_id = foxtrackrd              # any id; one for each daemon",
     "session.client_id", "a line of its own"),
    ("username = reader", "username = reader # of everything", "broker.username",
     "a line of its own"),
    ("username = reader", 'username = "reader"', "broker.username", "without quotes"),
    ("username = reader", "username = reader\u00a0", "broker.username", "U+00A0"),
    ("path = {directory}/foxtrackr.db", "path = {directory}/foxtrackr.db # here",
     "database.path", "a line of its own"),
    ("filters = foxtrackr/#", "qos = 3", "session.qos", "2"),
    ("filters = foxtrackr/#", "receive_maximum = 0", "session.receive_maximum", "65535"),
    ("filters = foxtrackr/#", "session_expiry = never", "session.session_expiry", "duration"),
    ("path = {directory}/foxtrackr.db", "path = foxtrackr.db", "database.path", "absolute"),
    ("path = {directory}/foxtrackr.db", "durability = sometimes", "database.durability", "full"),
    ("path = {directory}/foxtrackr.db", "busy_timeout = soon", "database.busy_timeout", "soon"),
    ("path = {directory}/foxtrackr.db", "batch_max = 0", "database.batch_max", "1"),
    ("path = {directory}/foxtrackr.db", "retention_days = -1", "database.retention_days", "-1"),
    ("path = {directory}/foxtrackr.db", "min_free_mb = 1e3", "database.min_free_mb", "1e3"),
    ("target = stderr", "target = printer", "log.target", "journal"),
    ("target = stderr", "level = loud", "log.level", "info"),
    ("target = stderr", "file = {directory}/log", "log.file", "target"),
    ("file = {directory}/status.json", "interval = 1ms", "status.interval", "1s"),
    ("file = {directory}/status.json", "file = status.json", "status.file", "absolute"),
    (None, "[parser]\nmax_payload = 12XB", "parser.max_payload", "12XB"),
    (None, "[parser]\nmax_future = tomorrow", "parser.max_future", "tomorrow"),
    (None, "[fields]\nbattery.colour = battery.colour", "fields.battery.colour", "colour"),
    (None, "[fields]\nbattery.voltage_v = battery.x * much", "fields.battery.voltage_v", "factor"),
    (None, "[broker]", "[broker]", "line 1"),
    (None, "just some words", "key = value", "section"),
    (None, "[parser", "]", "missing"),
    (None, "nul = \0", "NUL", "NUL"),
]

# The same for what cannot be pinned on one line: the changes, the key, words of the reason.
OMISSIONS = [
    ({"host = localhost": ""}, "broker.host", "required"),
    ({"given = test": ""}, "session", "required"),
    ({"[session]": "", "given = test": "", "filters = foxtrackr/#": ""}, "session", "required"),
    ({"target = stderr": "target = file"}, "log.file", "required"),
    ({"username = reader": ""}, "broker.username", "required"),
    ({"{directory}/ca.crt": "{directory}/none.crt"}, "broker.ca_file", "no such file"),
    ({"{directory}/ca.crt": "{directory}/password"}, "broker.ca_file", "certificate"),
]


@pytest.fixture
def directory(tmp_path, pki):
    (tmp_path / "password").write_text("p4ssw0rd-of-the-test\n")
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "ca.crt").write_bytes(pki.certificate("ca").read_bytes())
    return tmp_path


def write(directory, text, mode=0o640):
    path = directory / "foxtrackrd.conf"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def check_refused(directory, path, *words):
    """Daemon and --check-config say the same and end with 78; nothing was made."""
    said = set()
    for more in ([], ["--check-config"]):
        done = run(FOXTRACKRD, "-c", path, *more, check=False, timeout=10)
        assert done.returncode == 78, done.stderr
        said.add(done.stderr)
        for word in words:
            assert word.lower() in done.stderr.lower(), done.stderr
        assert "p4ssw0rd" not in done.stderr
        assert done.stderr.count("\n") == 1, "one mistake is one line"
    assert len(said) == 1
    assert not (directory / "foxtrackr.db").exists()
    return said.pop()


@pytest.mark.parametrize("old, new, key, reason", MISTAKES, ids=[m[1] for m in MISTAKES])
def test_mistake_is_named_with_file_and_line(directory, old, new, key, reason):
    """Goal: each kind of mistake ends with 78 and one line: file:line: key: reason."""
    if old is None:
        text = GOOD + new + "\n"
    else:
        assert old + "\n" in GOOD
        text = GOOD.replace(old + "\n", new + "\n", 1)
    number = text.splitlines().index(new.splitlines()[-1]) + 1
    if new == "[broker]":
        number = len(text.splitlines())
    path = write(directory, text.format(directory=directory))

    check_refused(directory, path, f"{path}:{number}: ", key, reason)


@pytest.mark.parametrize("changes, key, reason", OMISSIONS, ids=[str(o[0]) for o in OMISSIONS])
def test_omission_is_named(directory, changes, key, reason):
    """Goal: what is missing, or wrong in another file, is said with the file and the key."""
    text = GOOD
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = write(directory, text.format(directory=directory))

    check_refused(directory, path, f"{path}:", key, reason)


def test_invalid_utf8(directory):
    """Goal: a file in another encoding is refused, with the line."""
    path = write(directory, GOOD.format(directory=directory).encode() + b"# Caf\xe9\n")
    check_refused(directory, path, f"{path}:{len(GOOD.splitlines()) + 1}: ", "UTF-8")


def test_password_in_a_file_that_everybody_reads(directory):
    """Goal: a password in the file itself is accepted only if the file is private."""
    text = GOOD.replace("password_file = {directory}/password", "password = p4ssw0rd-of-the-test")
    text = text.format(directory=directory)

    check_refused(directory, write(directory, text, mode=0o644), "broker.password", "chmod")
    path = write(directory, text)
    run(FOXTRACKRD, "-c", path, "--check-config")


def test_filter_with_a_blank_is_one_filter(directory):
    """Goal: a topic may hold blanks, and filters are separated by commas and ends of lines only."""
    text = GOOD.replace("filters = foxtrackr/#",
                        "filters = foxtrackr/North Herd/#,\n    foxtrackr/South Herd/V3.0/bat")
    path = write(directory, text.format(directory=directory))
    assert run(FOXTRACKRD, "-c", path, "--check-config").stderr == ""
    said = run(FOXTRACKRCTL, "-c", path, "check", "--json", check=False).stdout
    assert "foxtrackrd.conf: 1 session" in said


@pytest.mark.parametrize("content, words", [
    (b"\xef\xbb\xbfp4ssw0rd\n", "byte order mark"), (b"p4ssw0rd \n", "blank"),
    (b"p4ss\tw0rd\n", "control character"),
], ids=["mark", "blank", "control"])
def test_what_nobody_sees_in_a_password_is_said(directory, content, words):
    """Goal: what is cut from a password, or hidden in it, is said by check and at a start."""
    (directory / "password").write_bytes(content)
    path = write(directory, GOOD.format(directory=directory))
    done = run(FOXTRACKRD, "-c", path, "--check-config")
    assert done.stderr.count("\n") == 1
    for said in (done.stderr, run(FOXTRACKRCTL, "-c", path, "check", check=False).stdout):
        assert f"{path}:6: broker.password_file: " in said and words in said
        assert "p4ss" not in said


def test_two_sessions_with_one_client_id(directory):
    """Goal: two sessions that would throw each other out are refused."""
    text = GOOD + "[session second]\ngiven = test\n"
    path = write(directory, text.format(directory=directory))
    check_refused(directory, path, "id-test-01", "number")


def test_every_mistake_is_told_at_once(directory):
    """
    Goal: one run names all that is wrong, in the order of the lines, by the daemon, --check-config and
    check; of very many mistakes the first 20.
    """
    text = GOOD.replace("port = 18883", "prot = 1").replace("given = test", "given = a/b")
    text = text.replace("[status]", "[statsu]").replace("target = stderr", "target = printer")
    path = write(directory, text.format(directory=directory))
    programs = ([FOXTRACKRD, "-c", path], [FOXTRACKRD, "-c", path, "--check-config"],
                [FOXTRACKRCTL, "-c", path, "check"])
    for program in programs:
        done = run(*program, check=False, timeout=10)
        assert done.returncode == 78
        lines = [int(line.split(f"{path}:")[1].split(":")[0]) for line in done.stderr.splitlines()]
        assert lines == [3, 8, 12, 15], done.stderr
        for words in ("did you mean port?", "session.given", "did you mean [status]?", "log.target"):
            assert words in done.stderr

    text += "".join(f"colour{n} = red\n" for n in range(28))
    path = write(directory, text.format(directory=directory))
    for program in programs:
        lines = run(*program, check=False, timeout=10).stderr.splitlines()
        assert len(lines) == 21 and lines[-1].endswith(f"{path}: and 12 more problems"), lines


def test_a_reload_tells_every_mistake(daemon):
    """Goal: a reload names all that is wrong, too, and the daemon goes on as it was."""
    daemon.start()
    daemon.configure(database={"batch_max": "many"}, parser={"max_payload": "much"})
    daemon.reload()
    daemon.wait_log("database.batch_max: ")
    daemon.wait_log("parser.max_payload: ")
    daemon.wait_log("foxtrackrd.conf: keeping the configuration as it was")
    daemon.stop()


def test_missing_file(directory):
    """Goal: a file that is not there is a configuration error with its name."""
    path = directory / "nowhere.conf"
    check_refused(directory, path, str(path), "no such file")


def test_good_file_is_called_good(directory):
    """Goal: --check-config ends with 0, touches nothing and does not call the broker."""
    path = write(directory, GOOD.format(directory=directory))
    before = sorted(os.listdir(directory))
    done = run(FOXTRACKRD, "-c", path, "--check-config")
    assert done.stderr == ""
    assert sorted(os.listdir(directory)) == before


@pytest.mark.parametrize("program", [FOXTRACKRD, FOXTRACKRCTL], ids=lambda path: path.name)
def test_version(program):
    """Goal: --version prints to standard output and ends with 0."""
    done = run(program, "--version")
    assert done.stdout.startswith(f"{program.name} ") and done.stderr == ""


def test_umask_does_not_open_or_close_the_database(broker, tmp_path):
    """Goal: whatever the caller's umask, the database is for its owner and the owner's group."""
    for number, umask in enumerate((0o000, 0o077)):
        daemon = Daemon(tmp_path / f"umask-{number}", broker)
        before = os.umask(umask)
        try:
            daemon.start()
            daemon.stop()
        finally:
            os.umask(before)
            daemon.close()
        assert stat.S_IMODE(daemon.database.stat().st_mode) == 0o640
