"""Fixtures. See tests/README.md."""

import faulthandler
import pathlib
import signal
import sys
import tempfile

import pytest

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1]))

# The hooks of pytest that name what is left out, and what they need.
from left_out import NO_MATTER, pytest_sessionfinish, pytest_terminal_summary  # noqa: E402, F401

import broker as brokers
import engines
import harness
import report_fleet
from foxtrackrd import Daemon
from journal import Journal
from pki import Pki

SHARED = {"demo", "refused", "page", "both"}
"""Fixtures of modules (test_demo.py, test_connection.py, test_report.py, test_postgresql_answers.py) that take seconds to
make."""
HANG_S = 120
"""No test may take longer. A test that waits for something has a shorter limit of its own."""


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): the hang guard of this test")
    config.addinivalue_line("markers", "browser: needs Chromium, which make check does not install")
    config.addinivalue_line("markers", "long: takes ten seconds or more, or is in a module of such; make check leaves it to check-all")


def pytest_ignore_collect(collection_path):
    """Read no module that is not for the engine."""
    return True if engines.is_left_out(collection_path) else None


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """
    Begin with the long tests: at the end of the run nothing would be left to do beside them. Tests
    that share a fixture of SHARED run in one process (--dist loadgroup), and it is made once, or
    once for each of its parameters.
    """
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    for item in items:
        for name in SHARED.intersection(item.fixturenames):
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            item.add_marker(pytest.mark.xdist_group(f"{name} {parameters.get(name, '')}"))
        if why := engines.why_left_out(item.nodeid):
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(autouse=True)
def hang_guard(request):
    """End a test that hangs with a failure and the stacks of all threads."""
    marker = request.node.get_closest_marker("limit")
    limit = (marker.args[0] if marker else HANG_S) * harness.PATIENCE

    def hang(_number, _frame):
        faulthandler.dump_traceback(file=sys.__stderr__)
        raise AssertionError(f"the test hangs: it has taken {limit} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(limit)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session", autouse=True)
def built():
    """A missing program, or name, is said once, not by every test."""
    if problem := harness.localhost_problem():
        pytest.exit(problem, returncode=1)
    for program in (harness.FOXTRACKRD, harness.FOXTRACKRCTL, harness.FLEET, harness.SLOW_DISK):
        if not program.exists():
            pytest.exit(f"{program} is not there: run make system", returncode=1)


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def password_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("passwords") / "passwords"
    brokers.make_password_file(path)
    return path


@pytest.fixture(scope="session")
def fleet_database(tmp_path_factory):
    """The database of report_fleet.make_database(). No test changes it."""
    path = tmp_path_factory.mktemp("report") / "foxtrackr.db"
    report_fleet.make_database(path)
    return path


@pytest.fixture
def clock(tmp_path):
    """The wall clock of a daemon that gets its environment."""
    return harness.make_clock(tmp_path)


@pytest.fixture
def make_broker(tmp_path, pki, password_file):
    """A function that starts a Broker; all of them end with the test."""
    made = []

    def make(**options):
        made.append(brokers.Broker(
            tmp_path / f"broker-{len(made)}", pki, password_file, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def broker(make_broker):
    """A running mosquitto, TLS and plain."""
    return make_broker()


@pytest.fixture
def make_daemon(tmp_path):
    """A function that makes a Daemon, not yet started; all of them end with the test."""
    made = []

    def make(broker, /, *, directory=None, **options):
        made.append(Daemon(directory or tmp_path / f"daemon-{len(made)}", broker, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def mqtt_5():
    """Leave the test out where the program is linked with the shared library of Paho."""
    if not harness.has_adapted_paho():
        pytest.skip(NO_MATTER + "with the shared library there is no MQTT 5")


@pytest.fixture(params=["3.1.1", "5"])
def protocol(request):
    """Each version of MQTT that this build speaks, as broker.protocol has it."""
    if request.param == "5":
        request.getfixturevalue("mqtt_5")
    return request.param


@pytest.fixture
def daemon(make_daemon, broker):
    """A daemon for `broker`, not yet started."""
    return make_daemon(broker)


@pytest.fixture(name="journal")
def fixture_journal():
    """The test in the place of the journal, for a daemon that is run with its prefix()."""
    with tempfile.TemporaryDirectory(prefix="journal.") as directory:
        journal = Journal(directory)
        try:
            if not journal.is_possible():
                pytest.skip("cannot make a mount namespace here: it needs root")
            yield journal
        finally:
            journal.close()
