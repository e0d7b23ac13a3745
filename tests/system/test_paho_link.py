"""
How Paho is linked (daemon/mqtt/paho/paho.mk): the adaptations of daemon/mqtt/paho in a private copy of
Debian's archive, or the shared library; when the build refuses to adapt an archive; and what the
adaptations bring. And how a small window is served, see daemon/gate/lockstep.c.
"""

import collections
import contextlib
import os
import pathlib
import re
import subprocess

import pytest

import fleet
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import BUILD, FOXTRACKRD, ROOT, run, wait_until
from left_out import NO_MATTER

PAHO = ROOT / "daemon/mqtt/paho"
ACKNOWLEDGEMENT = 4 + 22  # bytes, as a TLS 1.3 record of its own (RFC 8446 §5.2, AES-GCM)


def symbols(program):
    return subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout


def is_lean():
    return "mymalloc" in symbols(FOXTRACKRD)


def asked():
    """How this build was to link Paho: lean or shared."""
    return (BUILD / "paho.asked").read_text().strip()


def skip_without_adaptations(why):
    """A build that asked for the shared library has nothing to test here; one that fell back should."""
    if not is_lean():
        pytest.skip((NO_MATTER if asked() == "shared" else "") + why)


def libraries(program):
    return subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout


def test_the_shared_library_speaks_3_1_1(broker, make_daemon):
    """
    Goal: with the shared library, where nothing checks packets before it, broker.protocol = auto means
    MQTT 3.1.1 and says so, and 5 is refused.
    """
    if is_lean():
        pytest.skip(NO_MATTER + "the adapted Paho speaks MQTT 5")
    daemon = make_daemon(broker, broker={"protocol": "auto"}).start()
    assert "broker.protocol = auto means MQTT 3.1.1 in this build" in daemon.log()
    assert "with MQTT 3.1.1, the broker made a new session" in daemon.log()
    daemon.stop()
    daemon.configure(broker={"protocol": "5"})
    done = run(FOXTRACKRD, "-c", daemon.config, check=False)
    assert done.returncode == 78 and "broker.protocol: 5 needs a build with the adapted Paho" in done.stderr
    said = foxtrackrctl(daemon, "check", check=False).stdout
    assert "broker.protocol = 5 needs a build with the adapted Paho" in said


def test_paho_is_linked_as_asked():
    """
    Goal: a build that asked for the adapted Paho has it, with no trace of the debug heap and no shared
    Paho beside it; one that asked for the shared library has that, and no part of the adaptations.
    """
    found = set(re.findall(r" [TtW] (\w+)$", symbols(FOXTRACKRD), re.M))
    adaptations = {line.split()[1] for line in (PAHO / "redirections").read_text().splitlines()
                   if not line.startswith("#")}
    assert len(adaptations) == 20
    if asked() == "shared":
        assert "libpaho-mqtt3as" in libraries(FOXTRACKRD)
        assert not found & {*adaptations, "mymalloc", "MQTTAsync_create"}
        return
    skip_without_adaptations("the archive could not be adapted, see paho.flags.log")
    assert "libpaho" not in libraries(FOXTRACKRD)
    assert {*adaptations, "mymalloc", "MQTTAsync_create"} <= found
    assert not found & {"HeapDump", "Heap_findItem", "StackTrace_printStack"}


@pytest.fixture
def archive():
    """Debian's, by its path."""
    found = subprocess.run(["cc", "-print-file-name=libpaho-mqtt3as.a"], capture_output=True,
                           text=True, check=True).stdout.strip()
    if not pathlib.Path(found).is_absolute():
        pytest.skip("Debian's static archive is not installed")
    return pathlib.Path(found)


def changed(archive, copy, member, *arguments):
    """A copy of the archive with objcopy's change of one member; None: without the member."""
    copy.write_bytes(archive.read_bytes())
    if not arguments:
        subprocess.run(["ar", "d", copy, member], check=True)
        return copy
    subprocess.run(["ar", "x", copy, member], cwd=copy.parent, check=True)
    subprocess.run(["objcopy", *arguments, copy.parent / member], check=True)
    subprocess.run(["ar", "r", copy, copy.parent / member], check=True)
    return copy


def adapt(archive, directory):
    """The reason why the archive cannot be adapted, "" when it can."""
    copy = directory / "adapted.a"
    done = subprocess.run([PAHO / "adapt", archive, PAHO / "redirections", copy], capture_output=True,
                          text=True, check=False)
    assert (done.returncode == 0) == copy.exists() == (done.stderr == "")
    assert [path for path in directory.iterdir() if path.name.startswith("adapted.a.")] == []
    return done.stderr


def test_only_pahos_own_calls_are_redirected(archive, tmp_path):
    """Goal: in the copy Paho calls our functions and no longer the others; their definitions stay."""
    assert adapt(archive, tmp_path) == ""
    listed = symbols(tmp_path / "adapted.a")
    calls = set(re.findall(r" U (\w+)$", listed, re.M))
    for line in (PAHO / "redirections").read_text().splitlines():
        if line.startswith("#"):
            continue
        symbol, ours, caller, definer = line.split()
        assert (ours in calls) == (caller != "-")
        assert symbol not in calls
        assert (f" T {symbol}\n" in listed) == (definer != "-")
        assert f" T {ours}\n" not in listed


@pytest.mark.parametrize("member, change, reason", [
    ("Heap.c.o", [], "has no Heap.c.o"),
    ("WebSocket.c.o", [], "WebSocket.c.o does not define WebSocket_getch()"),
    ("Socket.c.o", ["--redefine-sym", "poll=select"], "Socket.c.o does not call poll()"),
    ("SSLSocket.c.o", ["--redefine-sym", "SSL_get_error=SSL_read_ex"], "calls SSL_read_ex()"),
    ("Socket.c.o", ["--redefine-sym", "connect=__poll_chk"], "calls __poll_chk()"),
    ("MQTTPacket.c.o", ["--redefine-sym", "WebSocket_putdatas=x"], "does not call WebSocket_putdatas()"),
    ("MQTTAsyncUtils.c.o", ["--redefine-sym", "WebSocket_close=x"],
     "MQTTAsyncUtils.c.o does not call WebSocket_close()"),
    ("MQTTProtocolClient.c.o", ["--redefine-sym", "MQTTProtocol_removePublication=x"],
     "does not define MQTTProtocol_removePublication()"),
    ("MQTTAsync.c.o", ["--redefine-sym", "state=x"], "MQTTAsync.c.o has no state"),
])
def test_an_archive_with_other_symbols_is_refused(archive, tmp_path, member, change, reason):
    """Goal: each adaptation's reliance on a symbol of Paho is checked before the build relies on it."""
    assert reason in adapt(changed(archive, tmp_path / "other.a", member, *change), tmp_path)


def make_flags(archive, directory, ci, *arguments):
    """Let make choose what to link: (its exit status, what it said, its choice)."""
    build = directory / "build"
    build.mkdir(exist_ok=True)
    done = subprocess.run(["make", "--no-print-directory", "-C", ROOT, f"BUILD={build}",
                           f"PAHO_STATIC={archive}", "PAHO=lean", *arguments, build / "paho.flags"],
                          env={**os.environ, "CI": ci, "MAKEFLAGS": ""}, capture_output=True, text=True,
                          check=False)
    flags = build / "paho.flags"
    return done.returncode, done.stdout + done.stderr, flags.read_text() if flags.exists() else None


def behaving_otherwise(archive, directory):
    """A copy in which Paho acknowledges what it never gave to its persistence: its symbols are good."""
    source = directory / "forgetful.c"
    source.write_text("int forget(void);\nint forget(void) { return 0; }\n")
    subprocess.run(["cc", "-fPIE", "-c", "-o", directory / "forgetful.c.o", source], check=True)
    copy = changed(archive, directory / "forgetful.a", "MQTTPacket.c.o", "--redefine-sym",
                   "MQTTPersistence_putPacket=forget")
    subprocess.run(["ar", "r", copy, directory / "forgetful.c.o"], check=True)
    return copy


def test_an_archive_that_behaves_otherwise_is_not_used(archive, tmp_path):
    """
    Goal: the build takes messages through a handshake before it links an archive. Where Paho does
    otherwise than the adaptations rely on, the build says so and takes the shared library; with
    CI=true that is an error, unless PAHO=shared asked for it; and the archive as it is passes.
    """
    other = behaving_otherwise(archive, tmp_path)
    status, said, flags = make_flags(other, tmp_path, "false")
    assert (status, flags) == (0, "-lpaho-mqtt3as\n"), said
    assert "cannot be adapted" in said and "gave 0 to its persistence" in said

    (tmp_path / "build/paho.flags").unlink()
    status, said, flags = make_flags(other, tmp_path, "true")
    assert status != 0 and flags is None, said
    assert "gave 0 to its persistence" in said and "with CI=true that is an error" in said

    status, said, flags = make_flags(other, tmp_path, "true", "PAHO=shared")
    assert (status, flags) == (0, "-lpaho-mqtt3as\n"), said

    status, said, flags = make_flags(archive, tmp_path, "true", "PAHO=lean")
    assert status == 0 and flags.endswith("/libpaho-adapted.a\n"), said


def test_an_archive_is_adapted_with_the_real_flags(archive, tmp_path):
    """Goal: flags that the objects need at the link (--coverage) do not cost the adaptations."""
    status, said, flags = make_flags(archive, tmp_path, "true", "CFLAGS=--coverage",
                                     "LDFLAGS=--coverage")
    assert status == 0 and flags.endswith("/libpaho-adapted.a\n"), said


def test_a_version_that_was_not_proved_is_not_used(archive, tmp_path):
    """Goal: a newer Paho is taken only when somebody has run the tests on it."""
    status, said, flags = make_flags(archive, tmp_path, "false", "PAHO_PROVED=1.3.0")
    assert (status, flags) == (0, "-lpaho-mqtt3as\n"), said
    assert "were not proved on Paho 1.3." in said


def test_version_tells_how_paho_is_linked():
    """Goal: an operator can see which Paho a program has."""
    said = subprocess.run([FOXTRACKRD, "--version"], capture_output=True, text=True,
                          check=True).stdout
    assert "Eclipse Paho MQTT C 1." in said
    assert ("without its debug heap" in said) == is_lean()
    assert ("shared library" in said) != is_lean()


def test_acknowledgements_leave_together(broker, daemon):
    """
    Goal: during a catch-up the two acknowledgements of a message cost far less than a TLS record
    each, on the way to a real broker.
    """
    skip_without_adaptations("the shared library writes each by itself")
    fleet.register(broker, CLIENT_ID, daemon.password_path)
    manifest = fleet.play(broker, messages=3000)
    daemon.start()
    daemon.wait_received(manifest.messages)
    # In the middle of the catch-up there are moments with nothing in flight, too.
    [session] = daemon.wait_status(lambda s: s["sessions"][0]["received"] == manifest.messages
                                   and s["sessions"][0]["in_flight"] == 0)["sessions"]
    daemon.stop()

    manifest.check(daemon.database)
    assert session["to_broker_bytes"] < manifest.messages * ACKNOWLEDGEMENT


@contextlib.contextmanager
def reads_by_thread(pid, directory, call):
    """{name: how often the thread has read something with this call}, filled in at the end."""
    report = directory / "strace.txt"
    reads = collections.Counter()
    tracer = subprocess.Popen(["strace", "-f", "-q", "-Y", "-e", f"trace={call}", "-o", report, "-p",
                               str(pid)], stderr=subprocess.PIPE, text=True)

    def is_traced():
        if tracer.poll() is not None:
            pytest.skip(f"may not look at a process: {tracer.stderr.read()}")
        return all(re.search(r"^TracerPid:\s*[1-9]", (task / "status").read_text(), re.M)
                   for task in pathlib.Path(f"/proc/{pid}/task").iterdir())

    try:
        wait_until(is_traced, 20, lambda: "strace has not attached")
        yield reads
    finally:
        tracer.terminate()
        tracer.wait(20)
    for name in re.findall(r"^\d+<([^>]+)> .*= [1-9]\d*$", report.read_text(), re.M):
        reads[name] += 1


def test_an_acknowledgement_that_cannot_be_written_cuts_the_link(broker, daemon):
    """
    Goal: where TLS cannot write acknowledgements the broker would wait for them for ever, on a
    connection that looks well. The link is cut, and the broker sends the messages again.
    """
    skip_without_adaptations("the shared library writes each by itself, and sees the failure")
    fleet.register(broker, CLIENT_ID, daemon.password_path)
    manifest = fleet.play(broker, messages=200)
    daemon.environment = {"LD_PRELOAD": str(BUILD / "tests" / "tls_write_shim.so"),
                          "TLS_WRITE_FAILS": "2",
                          "ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"),
                                                                 "verify_asan_link_order=0"]))}
    daemon.start(wait=None)
    daemon.wait_status(lambda s: s["sessions"][0]["connects"] == 3)
    daemon.wait_received(manifest.messages)
    daemon.wait_status(lambda s: s["sessions"][0]["received"] >= manifest.messages
                       and s["sessions"][0]["in_flight"] == 0)
    daemon.stop()

    manifest.check(daemon.database)


def test_with_a_small_window_paho_relays_itself(broker, daemon):
    """
    Goal: where few messages at a time go round, Paho's thread reads from the broker and not the
    gate's, for which it would have to wait several times a round.
    """
    skip_without_adaptations("the shared library does not tell when it writes")
    daemon.start()
    paths = [daemon.directory / "first.jsonl"]
    messages = fleet.play(broker, paths[0], messages=1).messages
    daemon.wait_received(messages)
    reads = {"MQTTAsync_rcv": 0, "gate": 0}
    # On a busy machine messages come late and many at a time: then the round says nothing.
    while len(paths) < 10 and reads["MQTTAsync_rcv"] <= 2 * reads["gate"]:
        paths.append(daemon.directory / f"{len(paths)}.jsonl")
        with reads_by_thread(daemon.process.pid, daemon.directory, "recvfrom") as reads:
            messages += fleet.play(broker, paths[-1], messages=150, rate=150).messages
            daemon.wait_received(messages)
    daemon.stop()

    fleet.Manifest(*paths).check(daemon.database)
    assert reads["MQTTAsync_rcv"] > 2 * reads["gate"]


def test_a_read_brings_more_than_a_packet(broker, daemon):
    """
    Goal: in a catch-up from a real broker, which makes a TLS record of every packet, Paho's thread
    reads fewer times than there are packets: there are two for a message, and each took two reads.
    """
    skip_without_adaptations("the shared library reads each by itself")
    fleet.register(broker, CLIENT_ID, daemon.password_path)
    manifest = fleet.play(broker, messages=3000)
    broker.stop()
    daemon.start(wait=None)
    with reads_by_thread(daemon.process.pid, daemon.directory, "read") as reads:
        broker.start()
        daemon.wait_received(manifest.messages)
    daemon.stop()

    manifest.check(daemon.database)
    assert 0 < reads["MQTTAsync_rcv"] < 2 * manifest.messages
