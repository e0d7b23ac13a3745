"""The table of brokers in the README: what its cells say is what the tests must find."""

import harness

FIRST = "| broker |"


def _cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def read():
    """{name of a broker: {title of a row: cell}}"""
    lines = (harness.ROOT / "README.md").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(FIRST))
    names = _cells(lines[start])[1:]
    table = {name: {} for name in names}
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            break
        title, *cells = _cells(line)
        for name, cell in zip(names, cells):
            table[name][title] = cell
    return table


def check(server, title, found):
    """Fail unless the cell says what was found."""
    says = read()[server.name][title]
    assert says == str(found), \
        f"the README says of {server.name}, \"{title}\": {says!r}; found: {found!r}"
