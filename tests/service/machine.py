"""The machine in the container: systemd, its journal, packages, and what the operator writes."""

import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
import socket
import struct

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

import broker as brokers  # noqa: E402
from foxtrackrd import render  # noqa: E402
from harness import run, wait_until  # noqa: E402
from pki import Pki  # noqa: E402

HOST = "broker.foxtrackr.test"
"""Only a name server knows it."""

PACKAGES = pathlib.Path(os.environ["FOXTRACKR_PACKAGES"])
UNIT = "foxtrackrd.service"
CONFIG = pathlib.Path("/etc/foxtrackrd/foxtrackrd.conf")
LOGROTATE = pathlib.Path("/etc/logrotate.d/foxtrackrd")
DATABASE = pathlib.Path("/var/lib/foxtrackrd/foxtrackr.db")
CREDENTIALS = pathlib.Path("/etc/credstore")
DROP_IN = pathlib.Path(f"/etc/systemd/system/{UNIT}.d/test.conf")
SHIM = pathlib.Path("/usr/local/lib/slow_sync.so")


class NameServer:
    """Answers every question for an IPv4 address with 127.0.0.1, and any other with nothing."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self.questions = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            question, sender = self._socket.recvfrom(512)
            end = question.index(b"\0", 12) + 5
            name, kind = question[12:end], question[end - 4:end - 2]
            answer = b""
            if kind == b"\0\1":
                answer = b"\xc0\x0c" + struct.pack(">HHIH4B", 1, 1, 0, 4, 127, 0, 0, 1)
            head = question[:2] + struct.pack(">5H", 0x8180, 1, 1 if answer else 0, 0, 0)
            self.questions += 1
            self._socket.sendto(head + name + answer, sender)


def shell(*arguments, check=True, timeout=120):
    return run(*arguments, check=check, timeout=timeout)


def systemctl(*arguments, check=True, timeout=120):
    return shell("systemctl", *arguments, check=check, timeout=timeout)


def show(name, unit=UNIT):
    """One property of a unit."""
    return systemctl("show", "--value", "-p", name, unit).stdout.strip()


def pid(unit=UNIT):
    return int(show("MainPID", unit))


def wait_text(text, unit=UNIT, timeout=90):
    """Wait until the unit's status line has this in it."""
    return wait_until(lambda: (lambda now: now if text in now else None)(show("StatusText", unit)),
                      timeout, lambda: f"{text!r} in the status of {unit}: it is "
                                       f"{show('StatusText', unit)!r}\n{tail(unit)}", every=0.1)


def wait_active(unit=UNIT, timeout=90):
    wait_until(lambda: show("ActiveState", unit) == "active" and show("SubState", unit) == "running",
               timeout, lambda: f"{unit} to run: {show('SubState', unit)}\n{tail(unit)}", every=0.1)


def cursor():
    """The cursor of the journal's present end."""
    return shell("journalctl", "-n", "0", "--show-cursor", "-q").stdout.split("-- cursor: ")[-1].strip()


def journal(since, unit=UNIT):
    """The unit's entries, and systemd's about it, after a cursor."""
    shell("journalctl", "--sync")
    text = shell("journalctl", "-q", "-o", "json", "--all", f"--after-cursor={since}", "-u", unit).stdout
    return [json.loads(line) for line in text.splitlines()]


def messages(since, unit=UNIT):
    return [str(entry.get("MESSAGE")) for entry in journal(since, unit)]


def wait_message(since, text, unit=UNIT, timeout=90):
    return wait_until(lambda: next((m for m in messages(since, unit) if text in m), None), timeout,
                      lambda: f"{text!r} in the journal:\n" + "\n".join(messages(since, unit)),
                      every=0.2)


def tail(unit=UNIT):
    return shell("journalctl", "-q", "-n", "30", "-o", "cat", "-u", unit, check=False).stdout


def install(*packages, answer="--force-confold", check=True):
    """
    As it happens with nobody there. dpkg asks about a configuration that is edited and comes anew:
    this answers that it is kept, and "--no-force-confold" lets dpkg ask.
    """
    return shell("env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "dpkg", answer, "-i", *packages,
                 check=check, timeout=300)


def package(name):
    found = sorted(PACKAGES.glob(f"{name}_*.deb"))
    assert len(found) == 1, f"one package {name} in {PACKAGES}: {found}"
    return found[0]


def shipped(path, name):
    """The content of the file `name` in a package, in bytes."""
    done = run("dpkg-deb", "--fsys-tarfile", path, text=False)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return archive.extractfile(f".{name}").read()


def earlier(path, version):
    """
    The same package under another version, with another text in its configuration files. Those have no line in
    md5sums that could then be wrong.
    """
    tree = pathlib.Path(tempfile.mkdtemp()) / "tree"
    shell("dpkg-deb", "-R", path, tree)
    conffiles = (tree / "DEBIAN" / "conffiles").read_text().split()
    assert {str(CONFIG), str(LOGROTATE)} <= set(conffiles), conffiles
    for name in conffiles:
        with (tree / name.lstrip("/")).open("a") as text:
            text.write(f"# as {version} had it\n")
    control = tree / "DEBIAN" / "control"
    control.write_text("".join(
        f"Version: {version}\n" if line.startswith("Version:") else line
        for line in control.read_text().splitlines(keepends=True)))
    old = tree.parent / f"{version}.deb"
    shell("dpkg-deb", "-b", tree, old)
    return old


def drop_in(text):
    """Change the unit as an operator may; "" takes the change back."""
    if text:
        DROP_IN.parent.mkdir(parents=True, exist_ok=True)
        DROP_IN.write_text(text)
    else:
        DROP_IN.unlink(missing_ok=True)
    systemctl("daemon-reload")


def hold_thread(name, unit=UNIT):
    """Stop one thread for good. The process that holds it, for its end."""
    holder = subprocess.Popen(
        [sys.executable, "-B", pathlib.Path(__file__).with_name("stop_thread.py"), str(pid(unit)), name],
        stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "stopped\n"
    return holder


def edit_config(broker, password):
    """Set what an operator has to set, in the text that the package has brought."""
    text = CONFIG.read_text()
    for key, to in (("host", HOST), ("port", broker.tls_port), ("ca_file", "/etc/foxtrackrd/ca.pem"),
                    ("username", brokers.USER), ("password_file", password), ("given", "test"), ("interval", "1s")):
        changed = re.sub(rf"^#{key} =.*$", f"{key} = {to}", text, count=1, flags=re.MULTILINE)
        assert changed != text, f"{key} is not in {CONFIG}"
        text = changed
    CONFIG.write_text(text)


def write_config(broker, path=CONFIG, /, **sections):
    """Write the configuration as an operator would: no password in it, and the default directories."""
    merged = {
        "broker": {"host": HOST, "port": broker.tls_port, "ca_file": "/etc/foxtrackrd/ca.pem",
                   "username": brokers.USER},
        "session": {"given": "test"},
        "status": {"interval": "1s"},
    }
    for name, keys in sections.items():
        merged[name] = {**merged.get(name, {}), **keys}
    path.write_text(render(merged))


def write_credential(name, password):
    CREDENTIALS.mkdir(mode=0o700, exist_ok=True)
    path = CREDENTIALS / name
    path.touch(mode=0o600)
    path.write_text(password + "\n")


def make_broker(directory):
    """A mosquitto that wants a password, with TLS."""
    (directory / "pki").mkdir()
    pki = Pki(directory / "pki")
    passwords = directory / "passwords"
    brokers.make_password_file(passwords)
    return brokers.Broker(directory / "broker", pki, passwords)
