"""
A scripted MQTT 3.1.1 broker for one durable session, made to break what listens to it.

It behaves as MQTT 3.1.1 says (durable session, window, redelivery in order with DUP, PUBREL again)
until a Fault of its script fires. Everything it sends and hears goes into its Ledger; an
acknowledgement counts from the moment its bytes are read, whether or not the session takes note of
it afterwards.

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
from ledger import Connect, Ledger
from script import ACTIONS, HEARD, SENT, Fault  # noqa: F401: a campaign takes all from here
from session import Message, Row, Session, as_json, from_json  # noqa: F401


class FaultBroker:
    """
    tls        None, an ssl.SSLContext for a server, or (certificate, key) files
    window     messages in flight at most
    script     Faults; add more at any time with script()
    qos        the highest QoS that is granted
    witness    called with the numbers of the messages that were acknowledged, at once, in the
               broker's thread; returns sentences about those that it does not find
    reuse_ids  use an id again as soon as its handshake is over
    hasty      take PUBREC for the end of the handshake: no PUBREL, the id is free for another
    """

    deny = 0    # so many SUBSCRIBEs are answered with 0x80

    def __init__(self, directory, *, tls=None, port=0, window=20, script=None, qos=2,
                 host="127.0.0.1", witness=None, reuse_ids=False, hasty=False):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger()
        self.host, self.window, self.qos = host, window, qos
        self.witness, self.reuse_ids, self.hasty = witness, reuse_ids, hasty
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
        self._thread.join(10)
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
            "inflight": [[pid, as_json(m), state]
                         for pid, (m, state) in self.session.inflight.items()],
            "queue": [as_json(m) for m in self.session.queue]}))

    def _load(self):
        if not self._file.exists():
            return
        kept = json.loads(self._file.read_text())
        self.session = Session()
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

    def _tidy(self):
        """After a round: send what is left, and watch for writing where it does not go at once."""
        for _, connection in self._connections():
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
            connection.send(fault.data(packet) if callable(fault.data) else fault.data)
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
            connection.send(fault.data)
        elif fault.action == "call":
            fault.data(self, connection)

    def _forget(self):
        if self.session:
            self.ledger.note_lost(m.number for m in self.session.unfinished())
        self.session = None
        self.delivering = False
        self._file.unlink(missing_ok=True)

    def _renumber(self):
        if self.session and self.session.inflight:
            waiting = [(pid, entry) for pid, entry in self.session.inflight.items()
                       if entry[1] == "publish"]
            ids = [pid for pid, _ in waiting]
            for (_, entry), pid in zip(waiting, ids[1:] + ids[:1]):
                self.session.inflight[pid] = entry

    # --- what is heard ----------------------------------------------------------------------

    def _take_packets(self, connection):
        try:
            packets = mqtt.take_packets(connection.buffer)
            for kind, flags, body in packets:
                if connection.halted:
                    self._note_acknowledgement(kind, body)   # it has left the client all the same
                else:
                    self._hear(connection, kind, flags, body)
        except mqtt.Malformed as problem:
            self.ledger.note_odd(f"malformed: {problem}")
            connection.close("malformed packet")
            return
        self._ask_witness()

    def _hear(self, connection, kind, flags, body):
        name = mqtt.NAMES.get(kind)
        if not connection.visit.connected and kind != mqtt.CONNECT:
            raise mqtt.Malformed(f"{name or kind} before CONNECT")
        self._note_acknowledgement(kind, body)
        if kind == mqtt.DISCONNECT:
            connection.close("DISCONNECT")
            return
        handler = getattr(self, f"_on_{name}", None) if name in HEARD else None
        if handler is None:
            raise mqtt.Malformed(f"a client does not send {name or kind}")
        if kind == mqtt.CONNECT:
            connection.visit.connected = True
        self._step(connection, name, None, lambda: handler(connection, body))

    def _note_acknowledgement(self, kind, body):
        if kind not in (mqtt.PUBREC, mqtt.PUBACK) or self.session is None:
            return
        entry = self.session.inflight.get(mqtt.packet_id(body))
        if entry is None:
            self.ledger.note_odd(f"{mqtt.NAMES[kind]} {mqtt.packet_id(body)}: no such id in flight")
            return
        self.ledger.note_acknowledged(entry[0].number)
        self._heard_now.append(entry[0].number)

    def _ask_witness(self):
        if self.witness and self._heard_now:
            self.ledger.early.extend(self.witness(self._heard_now))
        self._heard_now = []

    def _on_connect(self, connection, body):
        said = mqtt.read_connect(body)
        earlier = self._current
        if earlier is not None and earlier is not connection:
            earlier.close("taken over by another connection")   # MQTT 3.1.1 §3.1.4
        if said["clean_session"] and self.session:
            self._forget()
        present = self.session is not None
        self.ledger.connects.append(Connect(
            said["client_id"], said["username"], said["clean_session"], time.monotonic(),
            said["keepalive"], present))
        if self.session is None:
            self.session = Session()
            self.session.queue.extend(self._before_session)
            self._before_session = []
        self._current = connection
        self._step(connection, "connack", mqtt.connack(0, present),
                   lambda: self._begin(connection))

    def refuse(self, code):
        """For Fault("connect", "call", data=...): answer CONNECT with this code and close."""
        def act(_broker, connection):
            connection.send(mqtt.connack(code))
            connection.halted = True
            connection.last_words = lambda: connection.close(f"CONNACK {code}")
        return act

    def _begin(self, connection):
        """CONNACK is out: what was in flight goes again, in order (MQTT 3.1.1 §4.4)."""
        connection.ready = True
        self.delivering = bool(self.session.subscriptions)
        for pid, (message, state) in list(self.session.inflight.items()):
            if connection.halted:
                return
            if state == "publish":
                self._send_publish(connection, pid, message, dup=True)
            else:
                self._step(connection, "pubrel", mqtt.pubrel(pid), lambda: None)

    def _on_subscribe(self, connection, body):
        pid, filters = mqtt.read_filters(body, True)
        codes = []
        for name, qos in filters:
            codes.append(0x80 if self.deny else min(qos, self.qos))
            if self.deny:
                self.deny -= 1
            else:
                self.session.subscriptions[name] = codes[-1]

        def go_on():
            self.delivering = bool(self.session.subscriptions)

        self._step(connection, "suback", mqtt.suback(pid, codes), go_on)

    def _on_unsubscribe(self, connection, body):
        pid, filters = mqtt.read_filters(body, False)
        for name, _ in filters:
            self.session.subscriptions.pop(name, None)
        self.delivering = bool(self.session.subscriptions)
        self._step(connection, "unsuback", mqtt.unsuback(pid), lambda: None)

    def _on_pingreq(self, connection, _body):
        self._step(connection, "pingresp", mqtt.packet(mqtt.PINGRESP), lambda: None)

    def _on_puback(self, _connection, body):
        self._complete(mqtt.packet_id(body))

    def _on_pubrec(self, connection, body):
        pid = mqtt.packet_id(body)
        if self.hasty:
            self._complete(pid)
            return
        if pid in self.session.inflight:
            self.session.inflight[pid][1] = "pubrel"
        self._step(connection, "pubrel", mqtt.pubrel(pid), lambda: None)

    def _on_pubcomp(self, _connection, body):
        self._complete(mqtt.packet_id(body))

    def _complete(self, pid):
        entry = self.session.inflight.pop(pid, None)
        if entry:
            self.ledger.note_completed(entry[0].number)
            if self.reuse_ids:
                self.session.next_id = pid

    # --- what is sent -----------------------------------------------------------------------

    def _enqueue(self, messages):
        if self.session is None:
            self._before_session.extend(messages)
        else:
            self.session.queue.extend(messages)
        if self._current:
            self._pump(self._current)

    def _pump(self, connection):
        """Fill the window."""
        session = self.session
        while (connection is self._current and connection.ready and self.delivering
               and not connection.halted and session is self.session and session.queue
               and len(session.inflight) < self.window):
            message = session.queue.popleft()
            if self._granted(message) == 0:
                self.ledger.note_completed(message.number)
                self._send_publish(connection, None, message, dup=False)
                continue
            pid = session.take_id()
            session.inflight[pid] = [message, "publish"]
            self._send_publish(connection, pid, message, dup=False)

    def _granted(self, message):
        return min(message.qos, max(self.session.subscriptions.values(), default=self.qos))

    def _send_publish(self, connection, pid, message, dup):
        qos = self._granted(message) if pid else 0
        self.ledger.note_sent(message.number, dup)
        self._step(connection, "publish", mqtt.publish(
            message.topic, message.payload, qos, pid, dup, message.retain), lambda: None)


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
