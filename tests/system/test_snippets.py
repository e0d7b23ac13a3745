"""Every configuration that a document shows is one that the program accepts, as it stands there."""

import json
import re

import pytest

import harness

MARKDOWN = ["README.md", "schema/README.md", "packaging/debian/foxtrackrd.README.Debian"]
SECTION = re.compile(r"^\[(broker|session|database|parser|fields|log|status|view)\b[^\]]*\]", re.MULTILINE)
# Keys that a snippet leaves to the reader, by section.
REQUIRED = {"broker": "host = mqtt.acme.net\nusername = me\n", "session": "given = acme\n"}


def indented_blocks(text):
    """Blocks of lines that are indented by four blanks, without them."""
    for block in re.findall(r"(?:^(?:    .*)?\n)+", text, re.MULTILINE):
        yield re.sub(r"^    ", "", block, flags=re.MULTILINE)


def markdown_blocks(text):
    """The blocks of code in Markdown: in fences, and indented."""
    fenced = re.compile(r"^```.*\n((?:.*\n)*?)```\n", re.MULTILINE)
    yield from fenced.findall(text)
    yield from indented_blocks(fenced.sub("", text))


def manual_blocks(text):
    """Literal displays of a manual page, unescaped."""
    for block in re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed", text, re.MULTILINE):
        yield block.replace("\\e", "\\").replace("\\&", "").replace("\\(dq", '"')


def comment_blocks(text):
    """Examples in the comments of the shipped configuration: three blanks behind the #. Where they
    have no section of their own they belong to the one that they stand in; those of [fields] stand
    above it."""
    section = "[broker]"
    for block in re.split(r"\n(?!#   )", text):
        lines = re.findall(r"^#   (.*)\n?", block, re.MULTILINE)
        own = [line for line in lines if " = " in line or line.startswith((" ", "["))]
        if block.startswith("["):
            section = block.splitlines()[0]
        elif own and own == lines and " = " in "".join(own):
            where = "[fields]" if "." in own[0].split(" = ")[0] else section
            yield "\n".join(([] if own[0].startswith("[") else [where]) + own) + "\n"


def snippets():
    """(name, text) of everything that looks like a part of foxtrackrd.conf."""
    sources = [(name, markdown_blocks) for name in MARKDOWN]
    sources += [(page.relative_to(harness.ROOT).as_posix(), manual_blocks)
                for page in sorted([*harness.ROOT.glob("daemon/*.[58]"), *harness.ROOT.glob("lib/*.3")])]
    sources += [("foxtrackrd.conf", comment_blocks)]
    for name, blocks in sources:
        number = 0
        for block in blocks((harness.ROOT / name).read_text()):
            if SECTION.search(block):
                number += 1
                yield f"{name}-{number}", block


SNIPPETS = dict(snippets())


def complete(block, directory):
    """The snippet with what it leaves out: required sections and keys, and the files that it names."""
    block = re.sub(r"^((?:proxy_)?password_file) = /\S+$", rf"\1 = {directory}/password", block,
                   flags=re.MULTILINE)
    block = re.sub(r"^ca_file = /\S+$", f"ca_file = {directory}/ca.crt", block, flags=re.MULTILINE)
    for section, keys in REQUIRED.items():
        first = keys.split(" =")[0]
        if not re.search(rf"^\[{section}\b", block, re.MULTILINE):
            block = f"[{section}]\n{keys}" + block
        elif section == "session" and "client_id =" not in block and "given =" not in block:
            block = block.replace("[session]\n", f"[session]\n{keys}", 1)
        elif section == "broker" and f"{first} =" not in block:
            block = block.replace("[broker]\n", f"[broker]\n{keys}", 1)
    return block


@pytest.mark.parametrize("name", SNIPPETS)
def test_snippet_is_a_valid_configuration(tmp_path, pki, name):
    """Goal: who copies a snippet out of a document has a file that is accepted, without a warning
    but for what the reader is to replace."""
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "ca.crt").write_bytes(pki.certificate("ca").read_bytes())
    conf = tmp_path / "foxtrackrd.conf"
    conf.write_text(complete(SNIPPETS[name], tmp_path))
    conf.chmod(0o640)
    done = harness.run(harness.FOXTRACKRD, "-c", conf, "--check-config", check=False)
    said = [line for line in done.stderr.splitlines() if "reads like a placeholder" not in line]
    assert (done.returncode, said) == (0, []), f"{done.stderr}{conf.read_text()}"


def mappings():
    """(name, column, path) of every line that an example gives to [fields]."""
    for name, block in SNIPPETS.items():
        fields = re.search(r"^\[fields\]\n((?:(?!\[).*\n)*)", block, re.MULTILINE)
        for column, path in re.findall(r"^(\S+) = (\S+)", fields.group(1) if fields else "", re.MULTILINE):
            yield pytest.param(block, column, path, id=f"{name}-{path}")
    manual = (harness.ROOT / "daemon/foxtrackrd.conf.5").read_text()
    for line, column, path in re.findall(r"^\.Dl ((\w+\.\w+) = (\S+).*)\n", manual, re.MULTILINE):
        yield pytest.param(f"[fields]\n{line}\n", column, path, id=f"foxtrackrd.conf.5-{path}")


@pytest.mark.parametrize("block, column, path", mappings())
def test_mapping_of_an_example_is_not_built_in(tmp_path, pki, block, column, path):
    """Goal: an example for [fields] shows a line that changes something."""
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "ca.crt").write_bytes(pki.certificate("ca").read_bytes())
    conf = tmp_path / "foxtrackrd.conf"
    kind, name = column.split(".")
    body = {"messageType": 1, "deviceId": "1BBCE", "version": 3, "timeMs": 1764424800000, kind: {}}
    *parents, member = path.split(".")
    inner = body
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[member] = 42

    def parse(text):
        conf.write_text(complete(text, tmp_path))
        conf.chmod(0o640)
        topic = f"foxtrackr/1BBCE/V3.0/{'bat' if kind == 'battery' else 'temp'}"
        done = harness.run(harness.FOXTRACKRCTL, "-c", conf, "parse", topic, input=json.dumps(body))
        return json.loads(done.stdout)[kind].get(name)

    assert parse(block) is not None
    assert parse("") is None


def test_snippets_are_found():
    """Goal: the test above looks at the documents' examples, and not at nothing."""
    found = {name.rsplit("-", 1)[0] for name in SNIPPETS}
    assert {"README.md", "daemon/foxtrackrd.conf.5", "daemon/foxtrackrd.8", "foxtrackrd.conf"} <= found
    assert len(SNIPPETS) >= 9, sorted(SNIPPETS)
