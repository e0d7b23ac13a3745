"""
A headless Chromium, driven by the DevTools protocol over a pipe.

Messages are JSON, each ended by a NUL, on the browser's descriptors 3 and 4: no port, and nothing but
the standard library. https://chromedevtools.github.io/devtools-protocol/ names every method.
"""

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import subprocess
import time

from harness import PATIENCE

OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
           "--disable-sync", "--disable-extensions", "--hide-scrollbars", "--remote-debugging-pipe",
           "--force-color-profile=srgb"]
LIMIT = 60 * PATIENCE
KEYS = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class Browser:
    """One tab. `errors` has what a console would show in red: exceptions, violations of the policy, failed loads."""

    def __init__(self, program, directory):
        self.errors = []
        self.requests = []
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._events = []
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        # Above 9: the shell below must not overwrite one while it moves the other.
        to_browser, from_browser = (self._moved(fd) for fd in (to_browser, from_browser))
        command = f'exec "$@" 3<&{to_browser} 4>&{from_browser} {to_browser}<&- {from_browser}>&-'
        with open(directory / "chromium.log", "wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", command, "bash", program, *OPTIONS, f"--user-data-dir={directory / 'profile'}",
                 "about:blank"],
                pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "HOME": str(directory)})
        os.close(to_browser)
        os.close(from_browser)
        self._session = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    @staticmethod
    def _moved(descriptor):
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20)
        os.close(descriptor)
        return moved

    def close(self):
        """End the browser, and wait for it."""
        with contextlib.suppress(OSError, AssertionError):
            self._session = None
            self._call("Browser.close")
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._out)
        os.close(self._in)

    # --- the protocol ----------------------------------------------------------------------------

    def _read(self, until):
        """The next message of the browser."""
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._in, 1 << 20)
            assert piece, "the browser has ended"
            self._buffer += piece
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message):
        """Keep what an event says."""
        method, about = message.get("method"), message.get("params", {})
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{about['entry']['source']}: {about['entry']['text']}")
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.errors.append(f"console.{about['type']}: {about['args']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])

    def _call(self, method, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data):]
        until = time.monotonic() + LIMIT
        while True:
            answer = self._read(until)
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    # --- a page ----------------------------------------------------------------------------------

    def open(self, url):
        """Load a page, and wait until it is loaded."""
        self._events.clear()
        assert "errorText" not in self._call("Page.navigate", url=str(url))
        self.wait("document.readyState === 'complete'")

    def evaluate(self, expression):
        """The value of an expression in the page; a promise is waited for."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True,
                            allowUnsafeEvalBlockedByCSP=False)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition, limit=20):
        """Wait until an expression is true."""
        until = time.monotonic() + limit * PATIENCE
        while not self.evaluate(condition):
            assert time.monotonic() < until, f"never true: {condition}"
            time.sleep(0.02)

    def resize(self, width, height=900, scale=1):
        """The size of the window, in CSS pixels."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                   mobile=width < 600)
        self.wait(f"window.innerWidth === {width}")

    def prefer(self, scheme, media="screen"):
        """The colour scheme that the page is asked for, and the medium."""
        self._call("Emulation.setEmulatedMedia", media="" if media == "screen" else media,
                   features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key):
        """Press and release a key."""
        text = {"text": "\r"} if key == "Enter" else {}
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=KEYS[key], **text)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def type(self, text):
        """Type text into the element that has the focus."""
        self._call("Input.insertText", text=text)

    def click(self, selector):
        """Click on an element, near its begin where it is wide: the rest of it may be cut off."""
        x, y = self.evaluate(f"""(() => {{ const element = document.querySelector({json.dumps(selector)});
            element.scrollIntoView({{block: "center", behavior: "instant"}});
            const box = element.getBoundingClientRect(); return [box.x + Math.min(box.width / 2, 20), box.y + box.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path, whole=True):
        """Write what is shown as PNG; the whole page, or the window."""
        data = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def print(self):
        """The page as PDF."""
        return base64.b64decode(self._call("Page.printToPDF", printBackground=True)["data"])
