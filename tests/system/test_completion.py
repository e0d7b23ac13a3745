"""Completion of foxtrackrctl, asked from a real bash as readline asks."""

import re
import subprocess

import pytest

from harness import FOXTRACKRCTL, ROOT, find_program, run

SOURCE = ROOT / "packaging" / "completion" / "foxtrackrctl.bash"

ASK = """
compopt() { printf '%s\\n' "compopt $*" >&2; }  # an error outside of readline
source "$1"; program=$2; shift 2
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
function=$(complete -p foxtrackrctl)
function=${function#complete -F }
"${function% foxtrackrctl}" "$program"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words, directory=None):
    """The completions of the last of these words."""
    done = subprocess.run(
        [find_program("bash"), "--norc", "-euc", ASK, "bash", SOURCE, FOXTRACKRCTL, "foxtrackrctl",
         *words], capture_output=True, text=True, check=True, cwd=directory, timeout=60)
    assert done.stderr in ("", "compopt -o filenames\n")
    return sorted(done.stdout.split())


def commands():
    """The commands of --help, and what the usage of each one says of its options and arguments."""
    found = dict(re.findall(r"^  ([a-z]+) (.*?)  ", run(FOXTRACKRCTL, "--help").stdout, re.MULTILINE))
    for command in found.keys() - {"help"}:
        usage = run(FOXTRACKRCTL, "help", command).stdout.split("\n\n")[0]
        found[command] = " ".join(usage.split(f" {command} ", 1)[1].split())
    return found


def test_commands_and_general_options():
    """Goal: every command of --help is offered, and nothing else; options after a dash."""
    assert complete("") == sorted(commands()) and "status" in commands()
    assert complete("sta") == ["status"]
    assert complete("nonsense") == []
    assert complete("-") == ["--config", "--help", "--version", "-c", "-h"]
    assert complete("--v") == ["--version"]
    assert complete("-c", "some.conf", "") == sorted(commands())
    assert complete("--config", "=", "some.conf", "par") == ["parse"]


@pytest.mark.parametrize("command", commands())
def test_options_and_arguments(command, tmp_path):
    """Goal: a command's own options are offered, and files where it takes a file."""
    usage = commands()[command]
    assert complete(command, "-") == sorted(re.findall(r"--[a-z-]+", usage))
    (tmp_path / "a file.json").touch()
    arguments = re.sub(r"\[--[^]]*\]+|--\S+ \S+", "", usage).replace("[", "").replace("]", "").split()
    for given, argument in enumerate([*arguments, None]):
        words = [command, *["x"] * given, "a"]
        offered = " ".join(complete(*words, directory=tmp_path))
        assert offered == ("a file.json" if argument == "FILE" else ""), (words, argument)


def test_commands_to_explain():
    """Goal: help takes one command."""
    assert complete("help", "") == sorted(commands())
    assert complete("help", "ver") == ["verify"]
    assert complete("help", "verify", "") == []


def test_files_of_general_options(tmp_path):
    """Goal: -c and --config take a file, in whichever way it is written."""
    (tmp_path / "other.conf").touch()
    for words in (["-c", "o"], ["--config", "oth"], ["--config", "=", "o"], ["--config", "="]):
        assert complete(*words, directory=tmp_path) == ["other.conf"], words


def test_values_of_options(tmp_path):
    """Goal: an option of export is completed where its values are known, and is no argument."""
    (tmp_path / "battery.csv").touch()
    assert complete("export", "--format", "") == ["csv", "ndjson"]
    assert complete("export", "--since", "x", directory=tmp_path) == []
    for words in (["-o", "b"], ["--output", "b"], ["--since", "1d", "battery", "b"], ["-o", "x", "battery", "b"]):
        assert complete("export", *words, directory=tmp_path) == ["battery.csv"], words


def test_reasons():
    """Goal: the reasons are those that a message can be replayed for: all but oversize."""
    names = re.findall(r'\[FOXTRACKR_E_\w+\] = "(\w+)"', (ROOT / "lib" / "problem.c").read_text())
    offered = complete("replay", "--reason", "")
    assert offered == sorted(set(names) - {"field", "oversize"})
    assert complete("replay", "--reason", "t") == ["time", "topic"]
    assert complete("replay", "--reason", "=", "js") == ["json"]
