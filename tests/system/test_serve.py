"""`foxtrackrctl report --serve`: the report as a live page, for a browser on this machine alone."""

import concurrent.futures
import hashlib
import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import threading

import pytest

import fleet
from browser import Browser
from foxtrackrd import foxtrackrctl
from harness import (FOXTRACKRCTL, PATIENCE, SANITIZED, change, change_many, find_program, run, sanitizer,
                     wait_until)

CLIENTS = 200
DEVICES = 30
LIMIT_S = 60 * PATIENCE


class Server:
    """`report --serve` of a daemon's database. `url` is what it has printed first."""

    def __init__(self, daemon, *words, wrapper=()):
        self.errors = daemon.directory / "serve.errors"
        environment = {**os.environ, **(sanitizer("detect_leaks=0") if wrapper else {})}
        with open(self.errors, "w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [*wrapper, FOXTRACKRCTL, "-c", daemon.config, "report", "--serve", *words],
                stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise AssertionError(f"exit {self.process.wait(LIMIT_S)}: {self.said()}")
        match = re.fullmatch(r"http://(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)(/[0-9a-f]{32}/)", self.url)
        self.port, self.path = (int(match[1]), match[2]) if match else (None, "/")

    def said(self):
        return self.errors.read_text(encoding="utf-8")

    def connect(self):
        """A socket to the server."""
        if self.port:
            return socket.create_connection(("127.0.0.1", self.port), LIMIT_S)
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(LIMIT_S)
        one.connect(self.url.removeprefix("unix:"))
        return one

    def ask(self, path=None, method="GET", **headers):
        """The answer to one request: its status, headers and body."""
        connection = http.client.HTTPConnection("localhost", self.port or 80, timeout=LIMIT_S)
        connection.sock = self.connect()
        connection.request(method, self.path if path is None else path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(LIMIT_S)
        self.process.stdout.close()
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        self.process.stdout.close()
        print(f"--- the server's words\n{self.said()}")


@pytest.fixture(name="data")
def fixture_data(daemon):
    """A daemon that has ended, and some readings of many devices in its database."""
    daemon.start()
    daemon.stop()
    now = fleet.now_ms()
    change_many(daemon.database, "INSERT INTO devices VALUES (?, 'foxtrackr', ?, ?)",
                [(n, f"device-{n}", now) for n in range(1, DEVICES + 1)])
    change_many(daemon.database, "INSERT INTO battery VALUES (?, ?, 3.9, 80, 1, NULL, ?)",
                [(n, now - hours * 3_600_000, now) for n in range(1, DEVICES + 1) for hours in range(1, 48)])
    return daemon


@pytest.fixture(name="serve")
def fixture_serve(data):
    """A function that starts a server; all of them end with the test."""
    made = []

    def start(*words, **options):
        made.append(Server(data, *words, **options))
        return made[-1]

    start.data = data
    yield start
    for one in made:
        one.close()


def still(page):
    """A page without what makes it live, and without the moment at which it was made."""
    text = re.sub(r'"(made|until)_ms":\d+', "", page.decode())
    text = re.sub(r' data-live="\d+"', "", text)
    text = text.replace("connect-src 'self'; ", "")
    return text


def test_same_page_as_the_file(serve):
    """Goal: the live page is the report, byte for byte, but for what makes it live; HEAD has no body."""
    server = serve()
    status, headers, page = server.ask()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"device-30" in page and b' data-live="30"' in page
    assert server.ask(method="HEAD")[::2] == (200, b"")
    # What is counted from the moment of the page is the same when both are made close together.
    wait_until(lambda: still(server.ask()[2]) == still(
        foxtrackrctl(serve.data, "report", "-o", "-", text=False).stdout), timeout=60, what="the same page", every=0)


def test_who_gets_the_page(serve):
    """Goal: only who knows the token, and no web site that a browser on this machine visits."""
    server = serve()
    for path in ("/", "/" + "0" * 32 + "/", server.path[:-1], server.path + "x", "/favicon.ico"):
        status, _, body = server.ask(path)
        assert status == 404 and b"device" not in body, path
    for host in ("evil.test", f"evil.test:{server.port}", "127.0.0.1.evil.test", "192.0.2.1", "x"):
        status, _, body = server.ask(Host=host)
        assert status == 403 and b"device" not in body, host
    for origin in ("http://evil.test", "null", f"https://localhost:{server.port}"):
        assert server.ask(Origin=origin)[0] == 403, origin
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        status, headers, _ = server.ask(method=method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD"), method
    for host in (f"127.0.0.1:{server.port}", f"localhost:{server.port}", "[::1]:9000"):
        assert server.ask(Host=host)[0] == 200, host
    assert server.ask(Origin=f"http://localhost:{server.port}")[0] == 200


def test_what_a_browser_may_do_with_it(serve):
    """Goal: headers that keep the page out of frames, caches and referrers, and allow what it needs."""
    _, headers, page = serve().ask()
    policy = headers["Content-Security-Policy"]
    [meta] = re.findall(rb'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy == meta.decode() + "; frame-ancestors 'none'"
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
    assert "unsafe" not in policy and "http:" not in policy
    for name, content in (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
                          ("Cache-Control", "no-store"), ("X-Frame-Options", "DENY")):
        assert headers[name] == content
    assert "Set-Cookie" not in headers


def add_newcomer(daemon):
    """A device that reports for the first time."""
    change(daemon.database, "INSERT INTO devices VALUES (9999, 'foxtrackr', 'newcomer', ?)", fleet.now_ms())
    change(daemon.database, "INSERT INTO battery VALUES (9999, ?, 3.9, 80, 1, NULL, 1)", fleet.now_ms())


def test_new_readings_appear(serve):
    """Goal: the page is live: a device that reports now is on it some seconds later."""
    server = serve()
    assert b"newcomer" not in server.ask()[2]
    add_newcomer(serve.data)
    wait_until(lambda: b"newcomer" in server.ask()[2], 30, "the new device", every=0.5)


@pytest.mark.browser
def test_live_page_in_a_browser(serve, tmp_path):
    """Goal: a real browser draws the page and lets it fetch itself, and nothing else; its policy is
    heeded without a complaint. The test does not wait for the page's own half minute."""
    server = serve()
    browser = Browser(find_program("chromium"), tmp_path)
    try:
        browser.open(server.url)
        browser.wait("document.documentElement.dataset.drawn !== undefined")
        shown = "document.body.innerText.includes('newcomer')"
        live = "document.getElementById('live').textContent"
        assert not browser.evaluate(shown) and browser.evaluate(live).startswith("Live, as of ")
        add_newcomer(serve.data)
        again = f"refresh({{ ms: Date.now() }}).then(() => {shown})"
        wait_until(lambda: browser.evaluate(again), 30, "the new device", every=0.5)
        place = "document.activeElement.getAttribute('href') ?? document.activeElement.outerHTML"
        browser.evaluate("document.querySelector('#fleet tbody tr:nth-child(3) a').focus()")
        focused = browser.evaluate(place)
        browser.evaluate("refresh({ ms: Date.now() })")
        assert browser.evaluate(place) == focused  # where the keyboard was, it still is
        assert browser.evaluate("document.getElementById('live').getAttribute('aria-live')") == "off"
        browser.evaluate("location.hash = '#/device/foxtrackr/device-7'")
        browser.wait("document.querySelectorAll('.chart canvas').length >= 2")
        browser.evaluate("document.querySelector('#device details').open = true; document.querySelector('.chart').focus()")
        browser.evaluate("refresh({ ms: Date.now() })")
        assert browser.evaluate("document.querySelector('#device details').open")
        assert browser.evaluate("document.activeElement.className") == "chart"
        assert browser.errors == []
        assert {url.split("#")[0] for url in browser.requests if not url.startswith("data:")} == {server.url}
        assert server.stop() == 0
        browser.evaluate("refresh({ ms: Date.now() })")
        assert browser.evaluate(live).startswith("Not connected since ")
        assert browser.evaluate("document.getElementById('live').getAttribute('aria-live')") == "polite"
    finally:
        browser.close()


def peak_memory_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return int(re.search(r"VmHWM:\s+(\d+)", lines.read())[1])


def test_many_clients_and_slow_ones(serve):
    """Goal: two hundred clients at once get the page, while others take it a byte at a time."""
    server = serve()
    _, _, page = server.ask()
    before = peak_memory_kib(server.process.pid)
    request = f"GET {server.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    slow = [server.connect() for _ in range(40)]
    for number, one in enumerate(slow):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(request if number % 2 else request[:number])
        if number % 2:
            assert one.recv(1) == b"H"
    ended = threading.Event()

    def byte_by_byte():
        while not ended.wait(1):
            slow[1].recv(1)

    reader = threading.Thread(target=byte_by_byte, daemon=True)
    reader.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            answers = [pool.submit(server.ask) for _ in range(CLIENTS)]
            for answer in answers:
                status, _, body = answer.result(LIMIT_S)
                assert status == 200 and abs(len(body) - len(page)) < len(page) // 10
    finally:
        ended.set()
        reader.join(10)
        for one in slow:
            one.close()
    if not SANITIZED:
        grown = peak_memory_kib(server.process.pid) - before
        assert grown < 32 * 1024 + 8 * len(page) // 1024, f"{grown} KiB more"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_end(serve, number):
    """Goal: a signal ends it, with clients in the middle, and the exit status is good."""
    server = serve()
    waiting = server.connect()
    waiting.sendall(b"GET /")
    assert server.stop(number) == 0
    assert waiting.recv(1) == b""
    waiting.close()
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_unix_socket(serve, tmp_path):
    """Goal: a socket that this user alone can open, without a token; removed at the end, and a dead
    one replaced; a file in its place is left alone."""
    path = tmp_path / "report.socket"
    server = serve(f"unix:{path}")
    assert server.url == f"unix:{path}"
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.ask()[0] == 200 and server.ask("/x")[0] == 404
    assert server.ask(Host="evil.test")[0] == 403
    done = foxtrackrctl(serve.data, "report", "--serve", f"unix:{path}", check=False)
    assert done.returncode == 1 and "exists" in done.stderr

    server.process.kill()
    server.process.wait(30)
    assert path.exists()
    server = serve(f"unix:{path}")
    assert server.ask()[0] == 200
    assert server.stop() == 0 and not path.exists()

    path.write_text("a file")
    done = foxtrackrctl(serve.data, "report", "--serve", f"unix:{path}", check=False)
    assert done.returncode == 1 and path.read_text() == "a file"


def test_addresses(serve):
    """Goal: loopback unless another address is asked for, which is warned of; a wrong one is told."""
    server = serve()
    assert server.url.startswith("http://127.0.0.1:")
    wait_until(lambda: "Ctrl-C ends it" in server.said(), what="the last of its words")
    assert "warning" not in server.said()
    done = foxtrackrctl(serve.data, "report", "--serve", str(server.port), check=False)
    assert done.returncode == 1 and "in use; without an address a free port" in done.stderr
    done = foxtrackrctl(serve.data, "report", "--serve", "99999", check=False)
    assert done.returncode == 64 and "PORT (to 65535)" in done.stderr
    open_to_all = serve("0.0.0.0:0")
    wait_until(lambda: "warning: other machines reach http://0.0.0.0:" in open_to_all.said(), what="the warning")
    assert open_to_all.ask(Host="192.0.2.1")[0] == 200 and open_to_all.ask(Host="evil.test")[0] == 403
    assert server.path != open_to_all.path
    done = foxtrackrctl(serve.data, "report", "--serve=evil.test:80", check=False)
    assert done.returncode == 64 and "HOST:PORT with a host in digits" in done.stderr
    done = foxtrackrctl(serve.data, "report", "--serve", "--since", "yesterday", check=False)
    assert done.returncode == 64 and "--since" in done.stderr
    done = foxtrackrctl(serve.data, "report", "--serve", "-o", "x.html", check=False)
    assert done.returncode == 64 and "exclude each other" in done.stderr


def state_of(directory):
    """Names, modes, times and contents. Readers lock parts of the -shm file, which is shared memory."""
    return {path.name: (path.stat().st_mode, path.stat().st_mtime_ns,
                        hashlib.sha256(path.read_bytes()).digest())
            for path in directory.iterdir() if not path.name.endswith(("-shm", "serve.errors", ".calls"))}


def test_nothing_is_written(serve):
    """Goal: neither the database nor its directory changes, and no other file is opened to be written."""
    directory = serve.data.directory
    serve.data.start()  # leaves an empty write-ahead log; the fixture's sqlite3 has removed it
    serve.data.stop()
    before = state_of(directory)
    calls = directory / "serve.calls"
    tracer = ["strace", "-D", "-f", "-y", "-qq", "-o", calls, "-e", "trace=openat,open,creat,unlink,unlinkat,"
              "rename,renameat,renameat2,mkdir,mkdirat,link,linkat,symlink,symlinkat,truncate,ftruncate,"
              "fallocate,write,writev,pwrite64,pwritev"]
    probe = run("strace", "-qq", "-o", "/dev/null", "true", check=False)
    if probe.returncode != 0:
        pytest.skip(f"strace may not trace here: {probe.stderr.strip()}")
    server = serve(wrapper=tracer)
    for _ in range(3):
        assert server.ask()[0] == 200
    assert server.stop() == 0
    assert state_of(directory) == before
    wrote = [line for line in calls.read_text(encoding="utf-8", errors="replace").splitlines()
             if f"{directory}/" in line and not re.search(r"= -1 E|O_RDONLY|serve\.errors", line)]
    assert wrote  # SQLite opens these two, as every reader of a write-ahead log does
    for line in wrote:
        assert re.search(r"foxtrackr\.db-(wal|shm)", line), line
        assert "openat(" in line or "-shm" in line, line
