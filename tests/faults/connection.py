"""One TCP connection at the broker: bytes in and out without blocking, TLS or plain."""

import collections
import socket
import ssl
import struct
import time

import mqtt
from ledger import Visit

PLAIN_KEPT = 4096


class Connection:
    """
    `feed` bytes to send with send(); received() returns what came in clear. TLS goes through
    memory, so that a fault can be in the TCP stream and does not disturb the TLS library.
    """

    def __init__(self, sock, tls):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.visit = Visit()
        self.buffer = bytearray()   # in clear, not yet whole packets
        self.version = mqtt.MQTT_3_1_1  # from CONNECT on, as the client has it
        self.visitor = False        # a client that leaves no session behind
        self.visit_s = 0            # the session expiry that a visitor of MQTT 5 asked for
        self.receive_maximum = None     # so many PUBLISHes unanswered at most; None: no bound (3.1.1)
        self.unanswered = set()     # packet ids that count for it
        self.resend = collections.deque()   # packet ids in flight that it does not let through yet
        self.silence_s = None       # the client may be silent so long; None: for ever
        self.heard = time.monotonic()   # when the last bytes came
        self.ready = False          # CONNACK 0 was sent
        self.halted = False         # a fault has stopped this connection: nothing more is answered
        self.trickle = False        # one byte at a time
        self.last_words = None      # run this when everything has been sent
        self.mask = None            # what the selector watches for
        self._out = bytearray()     # as it goes to TCP
        self._tls = self._in_bio = self._out_bio = None
        if tls is None:
            self.visit.handshaken = True
        else:
            self._in_bio, self._out_bio = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = tls.wrap_bio(self._in_bio, self._out_bio, server_side=True)
            self._early = bytearray()

    @property
    def closed(self):
        return self.visit.closed is not None

    @property
    def pending(self):
        return bool(self._out)

    def send(self, data):
        """Queue bytes, in clear."""
        if self.closed:
            return
        if self._tls is None:
            self._out += data
        elif self.visit.handshaken:
            self._tls.write(data)
            self._out += self._out_bio.read()

    def flush(self):
        """Give TCP what it takes."""
        try:
            while self._out:
                piece = self._out[:1] if self.trickle else self._out[:262144]
                sent = self.socket.send(piece)
                del self._out[:sent]
                if self.trickle:
                    break
        except BlockingIOError:
            return
        except OSError as problem:
            self.close(f"send: {problem.strerror}")
            return
        if not self._out and self.last_words:
            words, self.last_words = self.last_words, None
            words()

    def receive(self):
        """Read once; True when there may be something new in `buffer`."""
        try:
            data = self.socket.recv(262144)
        except BlockingIOError:
            return False
        except OSError as problem:
            self.close(f"receive: {problem.strerror}")
            return False
        if not data:
            self.close("the client closed the connection")
            return False
        self.heard = time.monotonic()
        self.visit.raw_bytes += len(data)
        if self._tls is not None:
            data = self._decrypt(data)
        room = PLAIN_KEPT - len(self.visit.plain)
        self.visit.plain += data[:max(room, 0)]
        self.buffer += data
        return bool(data)

    def _decrypt(self, data):
        self._in_bio.write(data)
        clear = bytearray()
        try:
            if not self.visit.handshaken:
                self._tls.do_handshake()
                self.visit.handshaken = True
            while True:
                piece = self._tls.read(65536)
                if not piece:
                    break
                clear += piece
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLError as problem:
            self.visit.tls_error = problem.reason or str(problem)
            self._out += self._out_bio.read()
            self.flush()
            self.close(f"TLS: {self.visit.tls_error}")
            return clear
        self._out += self._out_bio.read()
        return clear

    def close(self, why, reset=False):
        if self.closed:
            return
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.halted = True
        self.visit.ended_by = why
        self.visit.closed = time.monotonic()
        self.socket.close()
