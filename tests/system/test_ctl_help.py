"""The help of the two programs, and what is said of a command line that is wrong."""

import os
import re

import pytest

import fleet
from foxtrackrd import foxtrackrctl
from harness import FOXTRACKRCTL, FOXTRACKRD, ROOT, run

PAGE = (ROOT / "daemon" / "foxtrackrctl.8").read_text()
OVERVIEW = run(FOXTRACKRCTL, "--help").stdout
COMMANDS = re.findall(r"^  ([a-z]+) ", OVERVIEW, re.MULTILINE)


def options(text):
    """The long options of a text."""
    return set(re.findall(r"--[a-z][a-z-]*", text))


def printed(*command):
    """The output of a command, which must succeed and print nothing on standard error."""
    done = run(*command)
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 80
    return done.stdout


def test_overview():
    """Goal: every way to ask for help gives the overview: one line for each command."""
    for words in (["help"], ["-h"], ["--help"], ["help", "help"], ["help", "--help"], ["help", "-h"]):
        assert printed(FOXTRACKRCTL, *words) == OVERVIEW, words
    assert COMMANDS == ["status", "check", "verify", "backup", "restore", "replay", "migrate",
                        "export", "report", "plot", "parse", "help"]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "help"])
def test_page_of_a_command(command):
    """Goal: every way to ask for it gives the page: usage, options, an example, exit statuses; and
    neither a configuration nor the right arguments are needed."""
    page = printed(FOXTRACKRCTL, "help", command)
    for words in ([command, "--help"], [command, "-h"], ["-h", command], ["--help", command],
                  ["-c", "/nowhere", command, "--help"], [command, "a", "b", "c", "--help"]):
        assert printed(FOXTRACKRCTL, *words) == page, words
    assert page.startswith(f"Usage: foxtrackrctl [-c FILE] {command} ")
    for part in ("\nOptions:\n  ", f"\nExample:\n  ", f"foxtrackrctl {command}", "\nExit status:\n  0  "):
        assert part in page
    exits = [int(number) for number in re.findall(r"^  (\d+)  ", page, re.MULTILINE)]
    assert exits == sorted(exits) and {0, 1, 64, 78} <= set(exits)

    # Every name in the usage is explained, and the overview and the manual page say the same.
    usage, rest = page.split("\n\n", 1)
    usage = " ".join(usage.split())
    explained = options(rest.split("Options:\n")[1].split("\nExample:")[0]) - {"--config", "--help"}
    assert explained == options(usage)
    [line] = [line for line in OVERVIEW.splitlines() if line.startswith(f"  {command} ")]
    short = re.sub(r"(\[--[^]]*\]+ ?)+", "[OPTION]... ", usage)
    assert any(line.startswith(one.replace("Usage: foxtrackrctl [-c FILE] ", "  ")) for one in (usage, short))
    [item] = re.findall(rf"^\.It Cm {command}\b(.*)$", PAGE, re.MULTILINE)
    assert {f"--{name}" for name in re.findall(r"Fl -([a-z-]+)", item)} == options(usage)
    documented = PAGE.split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
    assert set(exits) <= {int(number) for number in re.findall(r"^\.It (\d+)$", documented, re.M)}


def test_commands_of_the_manual_page():
    """Goal: the manual page explains every command, and no other."""
    explained = PAGE.split("The commands:\n")[1].split(".Sh FILES")[0]
    assert re.findall(r"^\.It Cm ([a-z]+)", explained, re.MULTILINE) == COMMANDS


def test_help_of_the_daemon():
    """Goal: the daemon's help has the same parts."""
    text = printed(FOXTRACKRD, "--help")
    assert printed(FOXTRACKRD, "-h") == text
    for part in ("Usage: foxtrackrd ", "\nExample:\n", "\nExit status:\n  0  "):
        assert part in text
    documented = (ROOT / "daemon" / "foxtrackrd.8").read_text().split(".Sh EXIT STATUS")[1]
    assert (re.findall(r"^  (\d+)  ", text, re.MULTILINE)
            == re.findall(r"^\.It (\d+)$", documented, re.MULTILINE))


@pytest.mark.parametrize("words, says, page", [
    ([], "a command is missing", ""),
    (["stauts"], "there is no command stauts (did you mean status?)", ""),
    (["stat"], "did you mean status?", ""),
    (["bakcup", "x"], "did you mean backup?", ""),
    (["hepl"], "did you mean help?", ""),
    (["version"], "did you mean --version?", ""),
    (["dance"], "there is no command dance", ""),
    (["help", "restor"], "did you mean restore?", ""),
    (["help", "status", "check"], "one command at a time", ""),
    (["--json", "status"], "--json belongs behind its command", ""),
    (["--verison"], "there is no option --verison (did you mean --version?)", ""),
    (["-v"], "there is no option -v (did you mean --version?)", ""),
    (["-x"], "there is no option -x; there are --config, --version, --help", ""),
    (["-c"], "-c needs a value", ""),
    (["status", "--jsno"], "status has no option --jsno (did you mean --json?)", "status"),
    (["status", "-f"], "status has no option -f (did you mean --follow?)", "status"),
    (["status", "--force"], "status has no option --force; it has --json, --follow", "status"),
    (["status", "--json=yes"], "--json takes no value", "status"),
    (["status", "a", "surplus"], "status: unexpected argument: surplus", "status"),
    (["verify", "a", "b"], "verify: unexpected argument: b", "verify"),
    (["backup"], "backup: FILE is missing", "backup"),
    (["restore", "--force"], "restore: FILE is missing", "restore"),
    (["parse"], "parse: TOPIC is missing", "parse"),
    (["replay", "--reason"], "--reason needs a value", "replay"),
    (["replay", "--reason="], "--reason needs a value", "replay"),
    (["check", "--", "--json"], "check: unexpected argument: --json", "check"),
    (["check", "\x1b[2J"], r"unexpected argument: \x1b[2J", "check"),
], ids=str)
def test_usage_error(words, says, page):
    """Goal: two lines: what is wrong and what is near, and which help there is."""
    done = run(FOXTRACKRCTL, *words, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("foxtrackrctl: ") and says in first
    assert second == f"foxtrackrctl: for help: foxtrackrctl help {page}".rstrip()


@pytest.mark.parametrize("words, says", [
    (["--chek-config"], "there is no option --chek-config (did you mean --check-config?)"),
    (["--hepl"], "did you mean --help?"), (["-V"], "there is no option -V"),
    (["-c"], "-c needs a value"), (["--check-config=1"], "--check-config takes no value"),
    (["my.conf"], "unexpected argument: my.conf; a configuration is named with -c FILE"),
], ids=str)
def test_usage_error_of_the_daemon(words, says):
    """Goal: the daemon's are as short."""
    done = run(FOXTRACKRD, *words, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("foxtrackrd: ") and says in first
    assert second == "foxtrackrd: for help: foxtrackrd --help"


def test_options_stand_anywhere_behind_the_command(daemon):
    """Goal: also -c, and options behind an argument."""
    daemon.start()
    daemon.stop()
    copy = daemon.directory / "copy.db"
    for words in (["backup", copy], ["backup", copy, "--force"], ["backup", "--force", "--", copy]):
        run(FOXTRACKRCTL, *words, f"--config={daemon.config}") if "--" not in words else run(
            FOXTRACKRCTL, words[0], "-c", daemon.config, *words[1:])
    assert '"good": true' in run(FOXTRACKRCTL, "verify", copy, "--json", "-c", daemon.config).stdout


def test_verify_a_file_without_a_configuration(daemon, tmp_path):
    """Goal: a backup can be verified where there is no configuration; one that is named must be good."""
    if os.path.exists("/etc/foxtrackrd/foxtrackrd.conf"):
        pytest.skip("this machine has a configuration")
    daemon.start()
    daemon.stop()
    copy = tmp_path / "copy.db"
    foxtrackrctl(daemon, "backup", copy)
    assert "BAD" not in run(FOXTRACKRCTL, "verify", copy).stdout
    done = run(FOXTRACKRCTL, "-c", tmp_path / "none", "verify", copy, check=False)
    assert done.returncode == 78 and "there is no such file" in done.stderr
    for command in (["verify"], ["backup", tmp_path / "x"], ["restore", copy], ["status"]):
        done = run(FOXTRACKRCTL, *command, check=False)
        assert done.returncode == 78 and "name another one with -c FILE" in done.stderr, command


@pytest.mark.parametrize("words", [
    ["verify"], ["export", "fleet"], ["report", "-o", "page.html"], ["plot", "battery", "--device", "1BBCE"]], ids=str)
def test_the_way_without_a_configuration(tmp_path, words):
    """Goal: a user who has no configuration to read learns that the name of the database is enough, and
    one who has named a configuration does not: that one must be good."""
    if os.path.exists("/etc/foxtrackrd/foxtrackrd.conf"):
        pytest.skip("this machine has a configuration")
    done = run(FOXTRACKRCTL, *words, check=False, cwd=tmp_path)
    assert done.returncode == 78
    assert done.stderr.splitlines()[1] == (
        "foxtrackrctl: or name the database, which needs no configuration: "
        f"foxtrackrctl {words[0]} ... /var/lib/foxtrackrd/foxtrackr.db")
    done = run(FOXTRACKRCTL, "-c", tmp_path / "none", *words, check=False, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (78, 1)
    assert len(run(FOXTRACKRCTL, "check", check=False).stderr.splitlines()) == 1
    assert run(FOXTRACKRCTL, "status", check=False).stderr.splitlines()[1] == (
        "foxtrackrctl: or name the status file, which needs no configuration: "
        "foxtrackrctl status /run/foxtrackrd/status.json")


def test_parse_beside_a_wrong_configuration(daemon):
    """Goal: a message is parsed with the configuration that was named, or not at all."""
    daemon.configure(parser={"max_payload": "much"})
    done = foxtrackrctl(daemon, "parse", "foxtrackr/p/V3.0/bat", input=fleet.battery("p", 1, 3.5),
                        check=False)
    assert done.returncode == 78 and "max_payload" in done.stderr
