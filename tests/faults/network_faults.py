"""Scripts for the fault broker: what goes wrong in the protocol."""

import random

import mqtt
from broker import Fault, Message

STEPS = [("connect", "before"), ("connack", "before"), ("connack", "after"),
         ("subscribe", "before"), ("suback", "before"), ("suback", "after")]
NUMBERED = [("publish", "before"), ("publish", "after"), ("pubrec", "before"), ("pubrec", "after"),
            ("pubrel", "before"), ("pubrel", "after"), ("pubcomp", "before"), ("pubcomp", "after")]


def scenarios(quick):
    return (cuts(quick) + redelivery() + lost_sessions() + trickles() + malformed(quick)
            + oversize() + refusals() + grants())


def played(name, *faults, odd=False, strangers=False, **how):
    """A scenario that is nothing but a script."""
    def play(campaign, directory, seed):
        stage = campaign.stage(directory, seed, script=[make() for make in faults], **how)
        try:
            stage.daemon.start(wait=None)
            stage.finish(odd=odd, strangers=strangers, gaps=_possible_gaps(stage))
        finally:
            campaign.note_witnessed(stage.witness.looked_up)
            stage.close()
    return name, play


def _possible_gaps(stage):
    """
    A CONNECT without an answer, not over TLS: the session may be a new one, and that is noted. The
    answer gets lost too when redelivery after it is cut, with bytes of the client not yet read.
    """
    steps = {fault.step for fault in stage.broker.faults}
    several = sum(max(fault.times, 1) for fault in stage.broker.faults) > 1
    return ["session uncertain"] if several or steps & {"accept", "connect", "connack"} else []


def scenario(name, **how):
    """A decorator: the function gets the stage, and what it returns is printed."""
    def wrap(function):
        def play(campaign, directory, seed):
            stage = campaign.stage(directory, seed, **how)
            try:
                return function(stage)
            finally:
                campaign.note_witnessed(stage.witness.looked_up)
                stage.close()
        return name, play
    return wrap


# --- cut at every step ---------------------------------------------------------------------------

def cuts(quick):
    numbers = (1, 20) if quick else (1, 2, 5, 19, 20, 21, 77, 119)
    actions = ("cut",) if quick else ("cut", "reset")
    made = [played(f"{action} {when} {step}", lambda s=step, a=action, w=when: Fault(s, a, 1, w))
            for action in actions for step, when in STEPS]
    made += [played(f"{action} {when} {step} {n}",
                    lambda s=step, a=action, n=n, w=when: Fault(s, a, n, w))
             for action in actions for step, when in NUMBERED for n in numbers]
    made += [played("cut at accept, three times", lambda: Fault("accept", "cut", times=3)),
             played("QoS 1: cut before puback 7", lambda: Fault("puback", "cut", 7), qos=1),
             played("QoS 1: cut after puback 1", lambda: Fault("puback", "cut", 1, "after"), qos=1),
             played("QoS 1: cut after publish 20", lambda: Fault("publish", "cut", 20, "after"),
                    qos=1),
             played("the broker closes its sending side only", lambda: Fault(
                 "publish", "call", 30, data=_shutdown)),
             _restarts()]
    return made


def _shutdown(_broker, connection):
    import socket
    connection.socket.shutdown(socket.SHUT_WR)
    connection.halted = True


def _restarts():
    @scenario("the broker restarts three times, the daemon once between", count=300)
    def play(stage):
        stage.daemon.start()
        for part in (30, 60, 90):
            stage.wait(lambda p=part: len(stage.ledger.completed) > p)
            stage.broker.restart()
        stage.daemon.stop()
        stage.daemon.start()
        stage.finish()
    return play


# --- redelivery, packet ids ----------------------------------------------------------------------

def _again(broker, connection):
    """Everything in flight once more with DUP, on the same connection."""
    for pid, (message, state) in broker.session.inflight.items():
        if state == "publish":
            connection.send(mqtt.publish(message.topic, message.payload, 2, pid, True,
                                         version=connection.version))


def _renumber(broker, _connection):
    broker.renumber()


def redelivery():
    return [
        played("redeliver with DUP, unasked", lambda: Fault("publish", "call", 25, data=_again),
               odd=True),
        played("redeliver with DUP at every packet", lambda: Fault(
            "publish", "call", 1, times=0, data=_again), odd=True, window=5, count=60),
        played("PUBREC is ignored, then all again", lambda: Fault("pubrec", "swallow", 1, times=20),
               lambda: Fault("pingreq", "cut", 1), daemon={"broker": {"keepalive": 5}}),
        played("packet ids are reused at once", reuse_ids=True, window=3, count=500),
        played("another message under the same id, no PUBREL between", hasty=True, reuse_ids=True,
               window=4, count=400),
        played("ids change hands over a reconnect", lambda: Fault("pubrec", "cut", 10),
               lambda: Fault("connack", "call", 2, data=_renumber)),
        played("ids change hands over three reconnects", *[
            make for n in (5, 11, 17) for make in (
                lambda n=n: Fault("pubrec", "cut", n),)],
               lambda: Fault("connack", "call", 2, times=3, data=_renumber)),
        played("window of 1", window=1), played("window of 1,000", window=1000, count=3000),
        played("PUBREL for ids that the daemon never saw", lambda: Fault(
            "publish", "insert", 30, data=b"".join(mqtt.pubrel(i) for i in range(40000, 40020))),
            odd=True),
        played("retained, QoS 0, 1 and 2 mixed", qos=lambda chance: chance.randrange(3)),
        _release_after_restart(),
    ]


def _release_after_restart():
    @scenario("PUBREL comes to the next process",
              script=[Fault("pubrel", "swallow", 1, times=0)])
    def play(stage):
        stage.daemon.start()
        stage.wait(lambda: len(stage.ledger.acknowledged) >= 20, what="a window of PUBRECs")
        stage.daemon.kill()
        stage.broker.clear_script()
        stage.daemon.start()
        stage.finish()
    return play


# --- the session is lost -------------------------------------------------------------------------

def lost_sessions():
    return [_forgotten(n) for n in (1, 40)] + [
        _said_lost_and_was_not(), _uncertain(), _uncertain_over_restart(),
        played("session present at the first CONNECT ever", lambda: Fault(
            "connack", "replace", data=mqtt.by_version(lambda v: mqtt.connack(0, True, v))))]


def _want_gaps(stage, *reasons):
    found = [reason for reason, _ in stage.gaps()]
    assert found == list(reasons), f"gaps: {found}, expected {list(reasons)}"


def _forgotten(number):
    @scenario(f"the session is forgotten at publish {number}",
              script=[Fault("publish", "forget", number, "after")])
    def play(stage):
        stage.daemon.start(wait=None)
        stage.wait(lambda: stage.ledger.steps["suback"] >= 2, what="subscribing anew")
        stage.more(50)
        stage.daemon.wait_log("lost the session")
        stage.finish(lost=True, gaps=None)
        # Before the first commit with data there is no time at which the gap begins.
        (reason, last), = stage.gaps()
        assert reason == "session lost" and (last or number == 1), stage.gaps()
        return f"{len(stage.ledger.lost)} lost by the broker"
    return play


def _said_lost_and_was_not():
    @scenario("the broker says that the session is new, and has it all the same")
    def play(stage):
        stage.broker.script(Fault("pubcomp", "cut", 50), Fault(
            "connack", "replace", 2, data=mqtt.by_version(lambda v: mqtt.connack(0, False, v))))
        stage.daemon.start()
        stage.finish(gaps=None)
        _want_gaps(stage, "session lost")
        assert stage.ledger.steps["subscribe"] == 2
    return play


def _uncertain():
    @scenario("CONNECT is not answered, then the session is present")
    def play(stage):
        stage.broker.script(Fault("pubcomp", "cut", 50), Fault("connack", "cut", 2))
        stage.daemon.start()
        stage.finish(gaps=None)
        _want_gaps(stage, "session uncertain")
        assert stage.ledger.steps["subscribe"] == 2, "it must subscribe again"
    return play


def _uncertain_over_restart():
    @scenario("CONNECT is not answered, the daemon is killed, then the session is present")
    def play(stage):
        stage.daemon.start()
        stage.wait(lambda: len(stage.ledger.completed) > 20)
        stage.broker.script(Fault("pubrec", "cut", 1), Fault("connack", "stall", 1))
        stage.more(20)      # all the others may be done by now
        stage.wait(lambda: not stage.broker.pending_faults, what="a CONNECT without an answer")
        stage.daemon.kill()
        stage.daemon.start()
        stage.finish(gaps=None)
        _want_gaps(stage, "session uncertain")
        assert stage.ledger.steps["subscribe"] == 2, "it must subscribe again"
    return play


# --- bytes that are slow or wrong ----------------------------------------------------------------

def trickles():
    return [played("one byte at a time from the start", lambda: Fault("accept", "trickle")),
            played("one byte at a time from publish 15", lambda: Fault("publish", "trickle", 15)),
            played("one byte at a time, cut after 50", lambda: Fault("accept", "trickle"),
                   lambda: Fault("publish", "cut", 50, "after"))]


WRONG_BYTES = {
    "a remaining length of five bytes": b"\x34\xff\xff\xff\xff\x7f",
    "the reserved type 0": b"\x00\x00",
    "the reserved type 15": b"\xf0\x00",
    "PUBLISH without anything": b"\x34\x00",
    "PUBLISH with one byte": b"\x34\x01\x00",
    "PUBLISH with a topic longer than itself": b"\x34\x06\xff\xffabcd",
    "PUBLISH without its packet id": mqtt.packet(mqtt.PUBLISH, mqtt.string("foxtrackr"), 4),
    "PUBLISH with half a packet id": mqtt.packet(mqtt.PUBLISH, mqtt.string("foxtrackr") + b"a", 4),
    "QoS 1 PUBLISH without its packet id": mqtt.packet(mqtt.PUBLISH, mqtt.string("fox"), 2),
    "PUBREL without an id": b"\x62\x00",
    "PUBREL with half an id": b"\x62\x01\x07",
    "PUBREL with wrong flags": b"\x60\x02\x00\x07",
    "PUBACK for nothing": b"\x40\x02\x12\x34",
    "PUBREC for nothing": b"\x50\x02\x12\x34",
    "PUBCOMP for nothing": b"\x70\x02\x12\x34",
    "PUBACK without an id": b"\x40\x00",
    "SUBACK for nothing": b"\x90\x03\x12\x34\x02",
    "SUBACK without anything": b"\x90\x00",
    "UNSUBACK for nothing": b"\xb0\x02\x12\x34",
    "a second CONNACK": mqtt.connack(0, True),
    "CONNACK without anything": b"\x20\x00",
    "CONNECT from the broker": mqtt.packet(mqtt.CONNECT, mqtt.string("MQTT") + b"\4\0\0\0\0\0"),
    "SUBSCRIBE from the broker": b"\x82\x08\x00\x01\x00\x03a/b\x00",
    "PINGREQ from the broker": b"\xc0\x00",
    "PINGRESP unasked": b"\xd0\x00",
    "PINGRESP with a body": b"\xd0\x03abc",
    "DISCONNECT from the broker": b"\xe0\x00",
    "MQTT 5 DISCONNECT": b"\xe0\x02\x8e\x00",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
}

WRONG_CONNACK = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "zeros": bytes(16),
    "an SSH banner": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "no body": b"\x20\x00",
    "one byte": b"\x20\x01\x00",
    "three bytes": b"\x20\x03\x00\x00\x00",
    "an endless length": b"\x20\xff\xff\xff\xff\xff",
    "PINGRESP": b"\xd0\x00",
    "SUBACK": b"\x90\x03\x00\x01\x02",
}

WRONG_SUBACK = {
    "for another id": b"\x90\x03\x77\x77\x02",
    "without a code": b"\x90\x02\x00\x01",
    "without an id": b"\x90\x00",
}


def malformed(quick):
    made = [played(f"{what}, before publish 10", lambda d=data: Fault(
        "publish", "insert", 10, data=d), _impatience, odd=True, **IMPATIENT)
        for what, data in WRONG_BYTES.items()]
    made += [played(f"{what} for a CONNACK", lambda d=data: Fault(
        "connack", "end", data=d), odd=True) for what, data in WRONG_CONNACK.items()]
    made += [played(f"SUBACK {what}", lambda d=data: Fault(
        "suback", "end", data=d), odd=True) for what, data in WRONG_SUBACK.items()]
    made += [played("a PUBLISH cut in half", lambda: Fault("publish", "end", 10, data=_half)),
             played("PUBLISH with QoS 3", lambda: Fault("publish", "replace", 10, data=_qos3),
                    _impatience, odd=True, **IMPATIENT),
             played("PUBLISH with packet id 0", lambda: Fault(
                 "publish", "replace", 10, data=_id_zero), _impatience, odd=True, **IMPATIENT),
             played("CONNACK with the reserved bits set", lambda: Fault(
                 "connack", "replace", data={
                     mqtt.MQTT_3_1_1: b"\x20\x02\xfe\x00", mqtt.MQTT_5: b"\x20\x03\xfe\x00\x00"}))]
    if not quick:
        made += [played(f"random bytes, {n}", lambda n=n: Fault(
            "publish", "insert", 10, data=random.Random(n).randbytes(200)), _impatience, odd=True,
            **IMPATIENT) for n in range(30)]
    return made


IMPATIENT = {"daemon": {"broker": {"keepalive": 5}}}


def _impatience():
    """The client may wait for bytes that were garbled: the broker then closes the connection."""
    return Fault("pingreq", "cut", optional=True)


def _half(packet):
    return packet[:len(packet) // 2]


def _qos3(packet):
    return bytes([packet[0] | 6]) + packet[1:]


def _id_zero(packet):
    length = 1
    while packet[length] & 128:
        length += 1
    at = length + 3 + int.from_bytes(packet[length + 1:length + 3], "big")
    return packet[:at] + b"\0\0" + packet[at + 2:]


# --- oversize ------------------------------------------------------------------------------------

TOPIC = "foxtrackr/d0/V3.0/bat"


def oversize():
    return [_one_of("a payload of 256 KiB and a byte", TOPIC, b"[" * ((256 << 10) + 1), "oversize"),
            _one_of("a payload of 64 MiB", TOPIC, b"[" * (64 << 20), "oversize"),
            _twice("publish", "replace"), _twice("pubrec", "cut"), _twice("pubrel", "cut"),
            _one_of("an empty payload", TOPIC, b"", "empty"),
            _one_of("a topic of 65,535 bytes", "foxtrackr/" + "x" * 65525, b"{}", "topic"),
            _one_of("a topic of one byte", "x", b"{}", "topic"),
            _claimed()]


def _peak_kib(daemon):
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def _one_of(name, topic, payload, reason):
    @scenario(name)
    def play(stage):
        odd = Message(len(stage.messages), topic, payload, 2, ("quarantine", reason))
        stage.messages.append(odd)
        stage.witness.add([odd])
        stage.broker.publish([odd])
        stage.more(50)
        stage.daemon.start()
        stage.daemon.wait_drained()
        peak = _peak_kib(stage.daemon)
        stage.finish()
        assert peak < 100_000, f"{peak} KiB of memory"
        return f"{peak} KiB of memory at most"
    return play


def _twice(step, action):
    @scenario(f"a payload of 1 MiB with one packet id twice: {action} at its {step}")
    def play(stage):
        odd = Message(len(stage.messages), TOPIC, b"[" * (1 << 20), 2, ("quarantine", "oversize"))
        stage.messages.append(odd)
        stage.witness.add([odd])
        stage.broker.publish([odd])
        stage.broker.script(Fault(step, action, len(stage.messages), data=_with_dup))
        stage.more(50)
        stage.daemon.start()
        stage.finish()
    return play


def _with_dup(packet):
    return packet + bytes([packet[0] | 8]) + packet[1:]


def _claimed():
    @scenario("a packet that claims 256 MiB and does not come", **IMPATIENT)
    def play(stage):
        stage.broker.script(Fault("publish", "call", 10, data=_claim))
        stage.daemon.start()
        stage.wait(lambda: len(stage.ledger.connects) > 1, what="the daemon to notice")
        peak = _peak_kib(stage.daemon)
        stage.finish()
        assert peak < 100_000, f"{peak} KiB of memory"
        return f"{peak} KiB of memory at most"
    return play


def _claim(_broker, connection):
    connection.send(b"\x34" + mqtt.remaining_length(mqtt.REMAINING_LENGTH_MAX) + b"\0\5abcde")
    connection.halted = True


# --- refusals ------------------------------------------------------------------------------------

# With protocol = auto a broker without MQTT 5 is no trouble, and is asked in 3.1.1 at once.
SENTENCES = {1: r"does not speak MQTT (3\.1\.1|5)|connected to .* with MQTT 3\.1\.1",
             2: "refuses the client id", 3: "unavailable", 4: "bad user name or password",
             5: "not authori[sz]ed", 6: "unknown code", 255: "code 0xFF of MQTT 5"}


def refusals():
    return [_refused(code, sentence) for code, sentence in SENTENCES.items()]


def _refused(code, sentence):
    @scenario(f"CONNACK {code}, twice, at the start and later")
    def play(stage):
        refuse = stage.broker.refuse(code)
        stage.broker.script(Fault("connect", "call", 1, data=refuse))
        stage.daemon.start(wait=None)
        stage.daemon.wait_log(sentence)
        stage.wait(lambda: len(stage.ledger.completed) > 30)
        stage.broker.script(Fault("connect", "call", 1, data=refuse))
        stage.broker.cut()
        # Perhaps everything has been delivered by now: then nothing else waits for this connection.
        stage.wait(lambda: not stage.broker.pending_faults, what="the second refusal")
        stage.finish()
        _want_gaps(stage)
        assert stage.ledger.steps["subscribe"] <= len(stage.ledger.connects), "once a connection"
    return play


def grants():
    return [_lower(0), _lower(1), _denied()]


def _lower(qos):
    @scenario(f"QoS {qos} is granted where 2 was asked")
    def play(stage):
        stage.broker.qos = qos
        stage.daemon.start()
        stage.daemon.wait_log(f"grants QoS {qos} .*asked was 2")
        stage.daemon.wait_status(lambda s: s["sessions"][0]["state"] != "subscribed")
        stage.broker.qos = 2
        stage.daemon.wait_status(lambda s: s["sessions"][0]["state"] == "subscribed")
        stage.more(50)
        stage.finish()
        _want_gaps(stage)
    return play


def _denied():
    @scenario("the subscription is refused with 0x80, twice")
    def play(stage):
        stage.broker.deny = 2
        stage.daemon.start(wait=None)
        stage.daemon.wait_log("refuses the subscription to foxtrackr/#")
        stage.daemon.wait_status(lambda s: s["sessions"][0]["state"] == "subscribed")
        stage.finish()
        _want_gaps(stage)
    return play


# --- random scripts ------------------------------------------------------------------------------

def random_scripts(count, seed):
    return [_random_script(f"{seed}/{n}") for n in range(count)] + [
        _garbled(f"{seed}/{n}") for n in range(count // 4)]


def _garbled(seed):
    """
    Single bits are wrong in the heads of packets, so that nobody knows any more what was sent. The
    daemon must live, keep its database whole, and go on to the end.
    """
    chance = random.Random(seed)
    places = [(chance.choice(("publish", "publish", "pubrel", "suback", "connack")),
               chance.randint(1, 60), chance.randrange(1 << 30)) for _ in range(3)]

    def flip(packet, bits):
        garbled = bytearray(packet)
        garbled[bits % min(len(packet), 6)] ^= 1 << bits // 6 % 8
        return bytes(garbled)

    return played(f"garbled {seed}", *[lambda p=place: Fault(
        p[0], "replace", 1 if p[0].endswith("ack") else p[1], data=lambda packet: flip(packet, p[2]),
        optional=True) for place in places], *[_impatience] * 3, odd=True, strangers=True, **IMPATIENT)


def _random_script(seed):
    chance = random.Random(seed)
    faults = []
    for _ in range(chance.randint(2, 4)):
        step, when = chance.choice(NUMBERED + STEPS[:3])
        number = 1 if step in ("connect", "connack") else chance.randint(1, 150)
        action = chance.choice(("cut", "cut", "reset", "trickle"))
        faults.append((step, action, number, "before" if action == "trickle" else when))
    how = {"window": chance.choice((1, 5, 20, 100)), "count": chance.randint(160, 500),
           "reuse_ids": chance.random() < 0.3}
    name = f"random {seed}: {how['window']} in flight, " + ", ".join(
        f"{action} {when} {step} {number}" for step, action, number, when in faults)
    return played(name, *[lambda f=f: Fault(*f, optional=True) for f in faults], **how)
