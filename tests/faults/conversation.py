"""
The fault broker's side of a connection: it reads packets, answers them, and sends messages, in MQTT 3.1.1
or MQTT 5 as CONNECT has it.

There is one session. Its client may come with 3.1.1 and go on with 5, and back: the session, its packet
ids and its handshakes stay. A client with another id that asks for a clean start, and for no session
afterwards or one that soon ends, is a *visitor*: it is answered, gets no message, and changes nothing.

Packets that the standard forbids end the connection. What it allows and the daemon must not ask for
(mqtt5_rules.py) does not. Both are oddities in the ledger.
"""

import time

import mqtt
import mqtt5_rules
from ledger import Connect
from script import HEARD
from session import NEVER, Session

VISIT_S = 60
"""The longest session of a visitor."""


class Conversation:
    """
    The part of FaultBroker (broker.py) that speaks MQTT. All runs in the broker's thread.

    versions                the versions that the broker speaks; another is refused in CONNACK

    For MQTT 5; any thread may set them, for the connections from then on:
    connack_properties      of CONNACK. The broker itself heeds session_expiry_interval,
                            server_keep_alive, shared_subscription_available and
                            wildcard_subscription_available
    publish_properties      of every PUBLISH
    heeds_receive_maximum   no more PUBLISHes are unanswered than the client has asked for
    """

    versions = mqtt.VERSIONS
    heeds_receive_maximum = True

    # --- what is heard ----------------------------------------------------------------------

    def _take_packets(self, connection):
        try:
            for kind, flags, body in mqtt.take_packets(connection.buffer):
                if connection.halted:   # the packet has left the client all the same
                    self._note_acknowledgement(connection, kind, body)
                else:
                    self._hear(connection, kind, flags, body)
        except mqtt.Malformed as problem:
            self.ledger.note_odd(f"malformed: {problem}")
            self._end(connection, mqtt.MALFORMED_PACKET, "malformed packet")
            return
        self._ask_witness()

    def _hear(self, connection, kind, flags, body):
        name = mqtt.NAMES.get(kind)
        if (kind == mqtt.CONNECT) == connection.visit.connected:
            raise mqtt.Malformed(
                "CONNECT twice" if connection.visit.connected else f"{name or kind} before CONNECT")
        mqtt.check_flags(kind, flags)
        if kind == mqtt.CONNECT:
            self._hear_connect(connection, body)
            return
        self._note_acknowledgement(connection, kind, body)
        if kind == mqtt.DISCONNECT:
            self._on_disconnect(connection, body)
            return
        if connection.visitor:
            self._answer_visitor(connection, kind, body)
            return
        handler = getattr(self, f"_on_{name}", None) if name in HEARD else None
        if handler is None:
            raise mqtt.Malformed(f"a client does not send {name or kind}")
        self._step(connection, name, None, lambda: handler(connection, body))

    def _note_acknowledgement(self, connection, kind, body):
        if (kind not in (mqtt.PUBREC, mqtt.PUBACK) or self.session is None
                or connection.visitor):
            return
        pid, reason = mqtt.read_acknowledgement(kind, body, connection.version)
        entry = self.session.inflight.get(pid)
        if entry is None:
            self.ledger.note_odd(f"{mqtt.NAMES[kind]} {pid}: no such id in flight")
            return
        if reason >= mqtt.UNSPECIFIED:
            self.ledger.note_odd(f"{mqtt.NAMES[kind]} {pid} refuses the message: 0x{reason:02X}")
        connection.visit.acknowledged = True
        self.ledger.note_acknowledged(entry[0].number)
        self._heard_now.append(entry[0].number)

    def _ask_witness(self):
        if self.witness and self._heard_now:
            self.ledger.early.extend(self.witness(self._heard_now))
        self._heard_now = []

    # --- CONNECT ----------------------------------------------------------------------------

    def _hear_connect(self, connection, body):
        connection.visit.connected = True
        said = mqtt.read_connect(body)
        connection.version = said["version"]
        step, handler = "connect", self._on_connect
        if said["version"] not in self.versions:
            handler = self._refuse_version
        elif self._is_visitor(said):
            step, handler = "visitor_connect", self._on_visitor
        self._step(connection, step, None, lambda: handler(connection, said))

    def _is_visitor(self, said):
        """3.1.1: a clean session ends with the connection. 5: so does one whose expiry is 0, and one that
        a DISCONNECT ends; the short expiry is for a client that is lost before."""
        return (said["clean_start"]
                and said["properties"].get("session_expiry_interval", 0) <= VISIT_S
                and (self.session is None or self.session.client_id != said["client_id"]))

    def _refuse_version(self, connection, _said):
        """As a broker does that speaks the other version only (§3.1.2.2)."""
        newest = max(self.versions)
        code = mqtt.UNSUPPORTED_VERSION if newest == mqtt.MQTT_5 else 1
        self._refuse(connection, mqtt.connack(code, version=newest), "unsupported version")

    @staticmethod
    def _refuse(connection, connack, why):
        connection.send(connack)
        connection.halted = True
        connection.last_words = lambda: connection.close(f"CONNACK: {why}")

    def _on_connect(self, connection, said):
        earlier = self._current
        if earlier is not None and earlier is not connection:   # MQTT 3.1.1 and MQTT 5 §3.1.4
            self._end(earlier, mqtt.SESSION_TAKEN_OVER, "taken over by another connection")
            self._leave()
        if self.session and (said["clean_start"] or self.session.expired()):
            self._forget()
        present = self.session is not None
        self.ledger.connects.append(_entry(said, present))
        for sentence in mqtt5_rules.about_connect(said):
            self.ledger.note_odd(sentence)
        if self.session is None:
            self.session = Session()
            self.session.queue.extend(self._before_session)
            self._before_session = []
        self.session.client_id, self.session.left_s = said["client_id"], None
        self._agree(connection, said["properties"])
        self._current = connection
        self._step(connection, "connack",
                   mqtt.connack(0, present, connection.version, self._said(connection)),
                   lambda: self._begin(connection))

    def _said(self, connection):
        """The properties of CONNACK."""
        return self.connack_properties if connection.version == mqtt.MQTT_5 else {}

    def _agree(self, connection, asked):
        """Note what CONNECT and CONNACK settle: expiry, window, keep alive (MQTT 5 §3.2.2.3)."""
        self.session.expiry_s = NEVER
        if connection.version != mqtt.MQTT_5:
            return
        said = self._said(connection)
        self.session.expiry_s = said.get(
            "session_expiry_interval", asked.get("session_expiry_interval", 0))
        if self.heeds_receive_maximum:
            connection.receive_maximum = asked.get("receive_maximum", 65535)
        if said.get("server_keep_alive"):
            connection.silence_s = said["server_keep_alive"] * 1.5

    def refuse(self, code):
        """For Fault("connect", "call", data=...): answer CONNECT with this code of MQTT 3.1.1, or with
        the code of MQTT 5 that says the same, and close."""
        def act(_broker, connection):
            version = connection.version
            said = mqtt.CONNACK_OF_5.get(code, code) if version == mqtt.MQTT_5 else code
            self._refuse(connection, mqtt.connack(said, version=version), f"code {said}")
        return act

    def _begin(self, connection):
        """CONNACK is out: what was in flight goes again, in order (§4.4), as the window lets it."""
        connection.ready = True
        self.delivering = bool(self.session.subscriptions)
        for pid, (message, state) in list(self.session.inflight.items()):
            if connection.halted:
                return
            if state != "publish":
                self._step(connection, "pubrel", mqtt.pubrel(pid), lambda: None)
            elif connection.resend or self._is_full(connection):
                connection.resend.append(pid)
            else:
                self._send_publish(connection, pid, message, dup=True)

    # --- visitors ---------------------------------------------------------------------------

    def _on_visitor(self, connection, said):
        connection.visitor = True
        connection.visit_s = said["properties"].get("session_expiry_interval", 0)
        self.ledger.visitors.append(_entry(said, False))

        def go_on():
            connection.ready = True

        self._step(connection, "visitor_connack",
                   mqtt.connack(0, False, connection.version, self._said(connection)), go_on)

    def _answer_visitor(self, connection, kind, body):
        version = connection.version
        if kind == mqtt.SUBSCRIBE:
            pid, filters, _ = mqtt.read_subscribe(body, version)
            connection.send(mqtt.suback(pid, [min(one.qos, self.qos) for one in filters], version))
        elif kind == mqtt.UNSUBSCRIBE:
            pid, names = mqtt.read_unsubscribe(body, version)
            connection.send(mqtt.unsuback(pid, version, [0] * len(names)))
        elif kind == mqtt.PINGREQ:
            connection.send(mqtt.packet(mqtt.PINGRESP))
        else:
            raise mqtt.Malformed(f"a visitor does not send {mqtt.NAMES.get(kind, kind)}")

    # --- the other packets ------------------------------------------------------------------

    def _on_disconnect(self, connection, body):
        reason, properties = mqtt.read_disconnect(body, connection.version)
        connection.visit.disconnect_reason = reason
        expiry_s = properties.get("session_expiry_interval")
        if connection.visitor and expiry_s != 0 and connection.visit_s:
            self.ledger.note_odd(f"a visitor leaves its session behind, for {connection.visit_s} s")
        if expiry_s is not None and connection is self._current and self.session:
            if expiry_s and not self.session.expiry_s:
                raise mqtt.Malformed("DISCONNECT prolongs a session of 0 s (MQTT 5 §3.14.2.2.2)")
            self.session.expiry_s = expiry_s
            self.ledger.note_odd(f"DISCONNECT changes the session's expiry to {expiry_s} s")
        connection.close("DISCONNECT")

    def _on_subscribe(self, connection, body):
        pid, filters, properties = mqtt.read_subscribe(body, connection.version)
        if connection.version == mqtt.MQTT_5:
            for sentence in mqtt5_rules.about_subscribe(filters, properties):
                self.ledger.note_odd(sentence)
        codes = [self._grant(connection, one) for one in filters]
        for one, code in zip(filters, codes):
            if code < mqtt.UNSPECIFIED:
                self.session.subscriptions[one.name] = code

        def go_on():
            self.delivering = bool(self.session.subscriptions)

        self._step(connection, "suback", mqtt.suback(pid, codes, connection.version), go_on)

    def _grant(self, connection, one):
        """The code of SUBACK for a filter."""
        if self.deny:
            self.deny -= 1
            return mqtt.UNSPECIFIED
        said = self._said(connection)
        for code, about, missing in (
                (mqtt.NO_SHARED, one.name.startswith("$share/"), "shared_subscription_available"),
                (mqtt.NO_WILDCARDS, set("+#") & set(one.name), "wildcard_subscription_available")):
            if about and said.get(missing) == 0:
                self.ledger.note_odd(f"SUBSCRIBE to {one.name}: CONNACK said {missing} 0")
                return code
        return min(one.qos, self.qos)

    def _on_unsubscribe(self, connection, body):
        pid, names = mqtt.read_unsubscribe(body, connection.version)
        codes = [mqtt.NO_SUBSCRIPTION if self.session.subscriptions.pop(name, None) is None else 0
                 for name in names]
        self.delivering = bool(self.session.subscriptions)
        self._step(connection, "unsuback", mqtt.unsuback(pid, connection.version, codes),
                   lambda: None)

    def _on_pingreq(self, connection, _body):
        self._step(connection, "pingresp", mqtt.packet(mqtt.PINGRESP), lambda: None)

    def _on_puback(self, connection, body):
        self._complete(connection, mqtt.packet_id(body))

    def _on_pubrec(self, connection, body):
        pid, reason = mqtt.read_acknowledgement(mqtt.PUBREC, body, connection.version)
        if self.hasty or reason >= mqtt.UNSPECIFIED:
            self._complete(connection, pid)
            return
        known = pid in self.session.inflight
        if known:
            self.session.inflight[pid][1] = "pubrel"
        unknown = 0 if known or connection.version != mqtt.MQTT_5 else mqtt.ID_NOT_FOUND
        self._step(connection, "pubrel", mqtt.pubrel(pid, unknown), lambda: None)

    def _on_pubcomp(self, connection, body):
        pid, _ = mqtt.read_acknowledgement(mqtt.PUBCOMP, body, connection.version)
        self._complete(connection, pid)

    def _complete(self, connection, pid):
        connection.unanswered.discard(pid)
        entry = self.session.inflight.pop(pid, None)
        if entry:
            self.ledger.note_completed(entry[0].number)
            if self.reuse_ids:
                self.session.next_id = pid

    # --- what is sent -----------------------------------------------------------------------

    def _is_full(self, connection):
        """The client's Receive Maximum is reached (MQTT 5 §4.9)."""
        return (connection.receive_maximum is not None
                and len(connection.unanswered) >= connection.receive_maximum)

    def _pump(self, connection):
        """Fill the window: what waits to be sent again first."""
        session = self.session
        while (connection is self._current and connection.ready and not connection.halted
               and session is self.session and not self._is_full(connection)):
            if connection.resend:
                pid = connection.resend.popleft()
                message, state = session.inflight.get(pid, (None, None))
                if state == "publish":
                    self._send_publish(connection, pid, message, dup=True)
                continue
            if (not self.delivering or not session.queue
                    or len(session.inflight) >= self.window):
                return
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
        if pid:
            connection.unanswered.add(pid)
        self.ledger.note_sent(message.number, dup)
        properties = self.publish_properties if connection.version == mqtt.MQTT_5 else None
        self._step(connection, "publish", mqtt.publish(
            message.topic, message.payload, qos, pid, dup, message.retain, connection.version,
            properties), lambda: None)

    def _end(self, connection, reason, why, **properties):
        """Close; in MQTT 5 with a DISCONNECT before it, where the client may expect one (§4.13)."""
        if connection.version == mqtt.MQTT_5 and connection.ready and not connection.halted:
            connection.send(mqtt.disconnect(reason, properties))
            connection.flush()
        connection.close(why)

    def _end_silent(self, connection):
        """A client that is silent for 1.5 times the Server Keep Alive (MQTT 5 §3.1.2.10)."""
        silent_s = time.monotonic() - connection.heard
        if connection.silence_s and not connection.halted and silent_s > connection.silence_s:
            self.ledger.note_odd(f"silent for {silent_s:.1f} s: more than the server's keep alive")
            self._end(connection, mqtt.KEEP_ALIVE_TIMEOUT, "keep alive timeout")


def _entry(said, present):
    asked = said["properties"]
    return Connect(said["client_id"], said["username"], said["clean_start"], time.monotonic(),
                   said["keepalive"], present, said["version"],
                   asked.get("session_expiry_interval"), asked.get("receive_maximum"))
