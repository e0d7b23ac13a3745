"""
A relay between the daemon and a server of PostgreSQL that knows where in the stream COMMIT is, and cuts there.

The relay listens on a Unix socket in a directory of its own, or on an address and port, and passes everything on to the
server's socket. arm() says what happens at the next COMMIT:

    before    the COMMIT is not passed on: the transaction is rolled back
    after     the COMMIT is passed on, and nothing is waited for
    answered  the server has committed, and its answer is not passed on
    half      the server has committed, and half of the answer's bytes are passed on
    unsynced  the answer to COMMIT is passed on, and not the server's word that it is ready again
    told      the answer is passed on, and then the connection is cut
    silent    the server has committed; from then on nothing is passed on, and nothing is cut
"""

import contextlib
import os
import pathlib
import socket
import struct
import threading

MOMENTS = ("before", "after", "answered", "half", "unsynced", "told", "silent")
COMMITTED = b"C\0\0\0\x0bCOMMIT\0"      # CommandComplete
NOT_TYPED = (80877103, 80877104)    # SSLRequest, GSSENCRequest: a startup packet follows


class Stream:
    """Splits what the daemon sends into messages: a startup packet, and then type, length, body."""

    def __init__(self):
        self.data = b""
        self.started = False

    def feed(self, data):
        """The messages that are complete, as bytes."""
        self.data += data
        found = []
        while True:
            head = 5 if self.started else 4
            if len(self.data) < head:
                return found
            size = struct.unpack(">I", self.data[head - 4:head])[0] + head - 4
            if len(self.data) < size:
                return found
            message, self.data = self.data[:size], self.data[size:]
            if not self.started:
                self.started = struct.unpack(">I", message[4:8])[0] not in NOT_TYPED
            found.append(message)


def is_commit(message):
    """Parse or Query with the text COMMIT."""
    return message[:1] in (b"P", b"Q") and b"COMMIT\0" in message[5:]


class Relay:
    """server: the path of the server's socket, which may change at any time; port: as in the socket's name."""

    def __init__(self, server, directory=None, *, port=5432, host=None):
        self.server = str(server)
        self.fired = threading.Event()
        self.bound = None           # the port on host
        self._moment, self._skip = None, 0
        self._lock = threading.Lock()
        self._open = set()
        if host is not None:
            self._listener = socket.create_server((host, 0))
            self.bound = self._listener.getsockname()[1]
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            path = pathlib.Path(directory) / f".s.PGSQL.{port}"
            self._listener.bind(str(path))
            os.chmod(path, 0o777)
            self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, moment, skip=0):
        """At the next COMMIT, or as many later, do this."""
        with self._lock:
            self.fired.clear()
            self._moment, self._skip = moment, skip

    def disarm(self):
        with self._lock:
            self._moment = None

    def end_all(self):
        """Close every connection."""
        with self._lock:
            pairs = list(self._open)
        for pair in pairs:
            pair.close()

    def close(self):
        self._listener.close()
        self.end_all()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.server)
        except OSError:
            client.close()
            server.close()
            return
        Pair(self, client, server).run()

    def due(self):
        """The moment, if this COMMIT is the one."""
        with self._lock:
            if self._moment is None:
                return None
            if self._skip:
                self._skip -= 1
                return None
            moment, self._moment = self._moment, None
            return moment


class Pair:
    """One connection: two threads pass on what comes."""

    def __init__(self, relay, client, server):
        self.relay, self.client, self.server = relay, client, server
        self.moment = None      # what happens when the answer to the COMMIT comes
        self.silent = False
        with relay._lock:
            relay._open.add(self)

    def run(self):
        back = threading.Thread(target=self._answers, daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            self._requests()
        if not self.silent:
            self.close()
        back.join()

    def close(self):
        for one in (self.client, self.server):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        with self.relay._lock:
            self.relay._open.discard(self)

    def _requests(self):
        stream = Stream()
        while data := self.client.recv(65536):
            out = b""
            for message in stream.feed(data):
                moment = self.relay.due() if is_commit(message) else None
                if moment == "before":
                    self.server.sendall(out)
                    self._fire()
                    return
                self.moment = moment or self.moment
                out += message
                if self.moment == "after" and message[:1] in (b"S", b"Q"):
                    self.server.sendall(out)
                    self._fire()
                    return
            self.server.sendall(out)

    def _answers(self):
        seen = b""
        with contextlib.suppress(OSError):
            while data := self.server.recv(65536):
                if self.silent:
                    continue
                if self.moment not in (None, "after"):
                    seen += data
                    if COMMITTED not in seen:
                        continue
                    self._answer(seen)
                    if not self.silent:
                        break
                    continue
                self.client.sendall(data)
        self.close()        # the server has ended it, which it does to a silent one when it is told to

    def _answer(self, data):
        """The answer to the COMMIT has come, with everything before it."""
        if self.moment == "half":
            self.client.sendall(data[:len(data) // 2])
        elif self.moment == "unsynced":
            self.client.sendall(data[:data.index(COMMITTED) + len(COMMITTED)])
        elif self.moment == "told":
            self.client.sendall(data)
        self.silent = self.moment == "silent"
        self._fire()

    def _fire(self):
        self.relay.fired.set()
