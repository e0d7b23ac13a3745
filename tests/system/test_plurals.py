"""
A number and its noun agree: "1 entry", "2 entries". This reads the sources: a format of a number with
a fixed plural behind it says "1 entries" some day. plural.h has the way to write it.
"""

import re

from harness import ROOT

NUMBER = r"%[-0-9.*]*(?:l|ll|z)?[du]|%[-0-9.*]*\x01[du]\x02"
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
PLURAL = re.compile(rf"(?:{NUMBER})((?: [A-Za-z]+){{1,2}})")
SINGULAR = {"is", "was", "has", "its", "as", "ms", "s", "this", "does", "needs"}

# Nouns whose number is never 1: limits, and sizes that are always larger.
NEVER_ONE = (
    "more than %d sessions",
    "more than %d views",
    "more than %d columns in a view",
    "more than %d values",
    "%d characters at most",
    "is longer than %d characters",
    "payload of %zu bytes, over ",
    "PostgreSQL cannot index the %s: %zu bytes, and ",
    "has a key of %d bits",
    "%u names (hard links)",
    "%lu names (hard links)",
    "the id has %zu characters, of which",
    "%zu bytes of acknowledgements",
    "%d tables, indexes and views",
    "the maximum depth of %d levels",
    "no memory for messages of %zu bytes",
    # names of a file's members, not words
    " page %",
    # said only of more than one session, and of many messages
    "of %u sessions)",
    "is in %d families (",
    "path has at most %zu bytes",
    "of the latest %",
)


def literals(text):
    """String literals of C source, adjacent ones joined, PRId64 as a format."""
    text = re.sub(r"//.*|/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r'"\s*PRI([du])(?:64|32)\s*"', "\x01\\1\x02", text)
    text = re.sub(r'"\s*\n\s*"', "", text)
    return STRING.findall(text)


def fixed_plurals(text):
    """The literals that have a number with a fixed plural behind it."""
    return [literal for literal in literals(text) if not any(part in literal for part in NEVER_ONE)
            and any(word.endswith("s") and word.lower() not in SINGULAR
                    for words in PLURAL.findall(literal) for word in words.split())]


def test_numbers_agree_with_their_nouns():
    """Goal: no output says "1 messages", whatever it is about. The build's probe of Paho is no output."""
    found = {str(path.relative_to(ROOT)): fixed_plurals(path.read_text())
             for room in ("daemon", "lib") for path in sorted((ROOT / room).rglob("*.c"))
             if not path.name.startswith("probe")}
    assert {path: literals for path, literals in found.items() if literals} == {}


def test_a_fixed_plural_is_found():
    """Goal: the test above is not blind."""
    assert fixed_plurals('f("%" PRId64 " entries\\n", n);')
    assert fixed_plurals('f("about "\n  "%zu old messages wait");')
    assert not fixed_plurals('f("%d %s", n, plural(n, "entry", "entries")); /* %d entries */')
    assert not fixed_plurals('f("%d message%s", n, plural_s(n)); g("%d ms, %d s");')
