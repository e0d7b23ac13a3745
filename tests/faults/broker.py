"""
A scripted broker for one durable session, made to break what listens to it.

It behaves as MQTT 3.1.1 and MQTT 5 say (durable session, window, redelivery in order with DUP, PUBREL
again; see conversation.py) until a Fault of its script fires. Everything it sends and hears goes into
its Ledger; an acknowledgement counts from the moment its bytes are read, whether or not the session
takes note of it afterwards.

One thread does all the work. The public methods may be called from any other.

    broker = FaultBroker(directory, script=[Fault("publish", "cut", number=7)]).start()
    broker.publish(messages)
    broker.wait_for(lambda: broker.drained, 30)
"""

import json
import pathlib
import queue
import selectors
import socket
import ssl
import threading
import time

import mqtt
from connection import Connection
from conversation import Conversation
from ledger import Ledger
from script import ACTIONS, HEARD, SENT, Fault  # noqa: F401: a campaign takes all from here
from session import Message, Row, Session, as_json, from_json  # noqa: F401


class FaultBroker(Conversation):
    """
    For MQTT 5 see also the attributes of Conversation.

    tls        None, an ssl.SSLContext for a server, or (certificate, key) files
    window     messages in flight at most
    script     Faults; add more at any time with script()
    qos        the highest QoS that is granted
    witness    called with the numbers of the messages that were acknowledged, at once, in the
               broker's thread; returns sentences about those that it does not find
    reuse_ids  use an id again as soon as its handshake is over
    hasty      take PUBREC for the end of the handshake: no PUBREL, the id is free for another
    versions   the versions of MQTT that it speaks
    """

    deny = 0    # so many SUBSCRIBEs are answered with 0x80

    def __init__(self, directory, *, tls=None, port=0, window=20, script=None, qos=2,
                 host="127.0.0.1", witness=None, reuse_ids=False, hasty=False,
                 versions=mqtt.VERSIONS):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger()
        self.host, self.window, self.qos = host, window, qos
        self.witness, self.reuse_ids, self.hasty = witness, reuse_ids, hasty
        self.versions = versions
        self.connack_properties = {}
        self.publish_properties = {}
        self.tls = tls_context(*tls) if isinstance(tls, tuple) else tls
        self.failure = None         # an exception of the broker's own
        self.session = None
        self.delivering = False     # a client is connected and subscribed
        self._before_session = []   # published when there was no session yet
        self._faults = list(script or [])
        self._reserved = self._reserve(host, port)
        self.port = self._reserved.getsockname()[1]
        self._thread = None
        self._calls = queue.SimpleQueue()
        self._current = None
        self._heard_now = []
        self._load()

    # --- from other threads -----------------------------------------------------------------

    def start(self):
        assert self._thread is None
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._waker, self._wake_end = socket.socketpair()
        self._wake_end.setblocking(False)
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.host, self.port))
        self._listener.listen(64)
        self._listener.setblocking(False)
        self._selector.register(self._wake_end, selectors.EVENT_READ, "wake")
        self._selector.register(self._listener, selectors.EVENT_READ, "listener")
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._thread.start()
        return self

    def stop(self):
        """Close everything without a word, as a broker that dies; the session is kept."""
        if self._thread is None:
            return
        self._stopping = True
        self._wake()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the broker's thread hangs"
        self._thread = None
        self._save()

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        self.stop()
        self._reserved.close()

    def publish(self, messages):
        """Queue messages for the session. Returns at once."""
        messages = list(messages)
        self.call(lambda: self._enqueue(messages))

    def script(self, *faults):
        """Add faults to the script."""
        self.call(lambda: self._faults.extend(faults))

    def clear_script(self):
        self.call(self._faults.clear)

    def cut(self, reset=False):
        """Close the present connection."""
        def act():
            if self._current:
                self._current.close("cut by the campaign", reset)
        self.call(act)

    def disconnect(self, reason, why="DISCONNECT by the campaign", **properties):
        """End the present connection; in MQTT 5 with a DISCONNECT that has these properties."""
        def act():
            if self._current:
                self._end(self._current, reason, why, **properties)
        self.call(act)

    def forget(self):
        """Lose the session with all it holds; the numbers go into ledger.lost."""
        self.call(self._forget)

    def renumber(self):
        """Give the messages in flight each other's packet ids, as a broker that lost them would."""
        self.call(self._renumber)

    def set_tls(self, tls):
        """For connections from now on."""
        self.tls = tls_context(*tls) if isinstance(tls, tuple) else tls

    def call(self, function):
        """Run in the broker's thread and wait for the result."""
        if self._thread is None or threading.current_thread() is self._thread:
            return function()
        done = threading.Event()
        result = []

        def run():
            result.append(function())
            done.set()

        self._calls.put(run)
        self._wake()
        while not done.wait(0.5):
            self._check()
        return result[0]

    def wait_for(self, condition, limit_s=30):
        """True as soon as condition() holds, False after the limit. It is looked at often."""
        def holds():
            self._check()
            return condition()
        return self.ledger.wait_for(holds, limit_s)

    @property
    def drained(self):
        """Nothing is queued, nothing in flight."""
        return self.call(lambda: not self._before_session and (
            self.session is None or not (self.session.queue or self.session.inflight)))

    @property
    def faults(self):
        """The script, with what has fired."""
        return list(self._faults)

    @property
    def pending_faults(self):
        """Faults that have not fired."""
        return [f for f in self._faults if not f.fired and not f.optional]

    def _check(self):
        if self.failure:
            raise AssertionError(f"the fault broker itself failed: {self.failure!r}") \
                from self.failure

    def _wake(self):
        try:
            self._waker.send(b"!")
        except OSError:
            pass

    # --- what lasts -------------------------------------------------------------------------

    @staticmethod
    def _reserve(host, port):
        """Bound and never listening: nobody else gets the port between two starts."""
        reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((host, port))
        return reserved

    @property
    def _file(self):
        return self.directory / "session.json"

    def _save(self):
        if self.session is None:
            return
        self._file.write_text(json.dumps({
            "subscriptions": self.session.subscriptions, "next_id": self.session.next_id,
            "client_id": self.session.client_id, "expiry_s": self.session.expiry_s,
            "left_s": self.session.left_s,
            "inflight": [[pid, as_json(m), state]
                         for pid, (m, state) in self.session.inflight.items()],
            "queue": [as_json(m) for m in self.session.queue]}))

    def _load(self):
        if not self._file.exists():
            return
        kept = json.loads(self._file.read_text())
        self.session = Session(kept["client_id"])
        self.session.expiry_s, self.session.left_s = kept["expiry_s"], kept["left_s"]
        self.session.subscriptions = kept["subscriptions"]
        self.session.next_id = kept["next_id"]
        for pid, message, state in kept["inflight"]:
            self.session.inflight[pid] = [from_json(message), state]
        self.session.queue.extend(from_json(m) for m in kept["queue"])

    # --- the thread -------------------------------------------------------------------------

    def _run(self):
        try:
            while not self._stopping:
                for key, events in self._selector.select(1.0):
                    self._serve(key.data, events)
                self._tidy()
                self.ledger.note_changed()
        except Exception as problem:  # seen by _check()
            self.failure = problem
            if not isinstance(problem, AssertionError):
                import traceback
                traceback.print_exc()
        finally:
            self._close_all()

    def _close_all(self):
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, Connection):
                key.data.close("the broker stopped")
        self._listener.close()
        self._selector.close()
        self._waker.close()
        self._wake_end.close()
        if self._current:
            self._leave()
        self._current = None
        self.delivering = False
        self.ledger.note_changed()

    def _serve(self, who, events):
        if who == "wake":
            self._wake_end.recv(4096)
            while not self._calls.empty():
                self._calls.get()()
        elif who == "listener":
            self._accept()
        else:
            if events & selectors.EVENT_WRITE:
                who.flush()
            if events & selectors.EVENT_READ and not who.closed and who.receive():
                self._take_packets(who)
            if not who.closed:
                self._pump(who)

    def _accept(self):
        self._reap()    # the new socket may get the number of one that is closed
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        connection = Connection(sock, self.tls)
        self.ledger.visits.append(connection.visit)
        self._selector.register(sock, selectors.EVENT_READ, connection)
        connection.mask = selectors.EVENT_READ
        self._step(connection, "accept", None, lambda: None)

    def _connections(self):
        return [(key.fileobj, key.data) for key in list(self._selector.get_map().values())
                if isinstance(key.data, Connection)]

    def _reap(self):
        """Forget what is closed."""
        for sock, connection in self._connections():
            if connection.closed:
                self._selector.unregister(sock)
                if connection is self._current:
                    self._current = None
                    self.delivering = False
                    self._leave()

    def _tidy(self):
        """After a round: send what is left, and watch for writing where it does not go at once."""
        for _, connection in self._connections():
            if not connection.closed:
                self._end_silent(connection)
            if not connection.closed and connection.pending:
                connection.flush()
        self._reap()
        for sock, connection in self._connections():
            mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.pending else 0)
            if mask != connection.mask:
                self._selector.modify(sock, mask, connection)
                connection.mask = mask

    # --- faults -----------------------------------------------------------------------------

    def _step(self, connection, name, packet, go_on):
        """
        One step of the protocol: `packet` is what would be sent (None: the step is one that was
        heard) and `go_on` does the rest. The script may have it otherwise.
        """
        self.ledger.steps[name] += 1
        due = [f for f in self._faults if f.step == name and f.matches()]
        fault = due[0] if due else None     # another one that is due fires next time
        if fault is not None:
            fault.fired += 1
        if fault is None or fault.when == "after":
            if packet is not None:
                connection.send(packet)
            go_on()
        elif fault.action in ("replace", "end"):
            connection.send(fault.bytes_for(packet, connection.version))
            if fault.action == "end":
                connection.halted = True
                connection.last_words = lambda: connection.close(f"fault: {fault}")
            else:
                go_on()
        elif fault.action in ("insert", "trickle", "call"):
            self._act(fault, connection)
            if not connection.halted:
                connection.send(packet or b"")
                go_on()
            return
        if fault is not None and fault.action not in ("replace", "end"):
            if fault.when == "after" and connection.pending:
                if fault.action in ("cut", "reset", "forget", "stall"):
                    connection.halted = True
                connection.last_words = lambda: self._act(fault, connection)
            else:
                self._act(fault, connection)

    def _act(self, fault, connection):
        if fault.action in ("cut", "reset", "forget"):
            if fault.action == "forget":
                self._forget()
            connection.flush()      # what came before has been sent
            connection.close(f"fault: {fault}", fault.action == "reset")
        elif fault.action == "stall":
            connection.halted = True
        elif fault.action == "trickle":
            connection.trickle = True
        elif fault.action == "insert":
            connection.send(fault.bytes_for(None, connection.version))
        elif fault.action == "call":
            fault.data(self, connection)

    def _forget(self):
        if self.session:
            self.ledger.note_lost(m.number for m in self.session.unfinished())
        self.session = None
        self.delivering = False
        self._file.unlink(missing_ok=True)

    def _leave(self):
        """The connection is gone: its session ends now, or the time until then begins."""
        if self.session:
            self.session.left_s = time.time()
            if self.session.expired():
                self._forget()

    def _renumber(self):
        if self.session and self.session.inflight:
            waiting = [(pid, entry) for pid, entry in self.session.inflight.items()
                       if entry[1] == "publish"]
            ids = [pid for pid, _ in waiting]
            for (_, entry), pid in zip(waiting, ids[1:] + ids[:1]):
                self.session.inflight[pid] = entry

    # --- what is published ------------------------------------------------------------------

    def _enqueue(self, messages):
        if self.session is None:
            self._before_session.extend(messages)
        else:
            self.session.queue.extend(messages)
        if self._current:
            self._pump(self._current)


def tls_context(certificate, key, *, weak=False, maximum=None):
    """A server's context. weak: OpenSSL must not mind what the certificate looks like."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if weak:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if maximum is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = maximum
    context.load_cert_chain(certificate, key)
    return context
