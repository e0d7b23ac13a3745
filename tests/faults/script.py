"""The script of faults that the broker follows."""

SENT = ("connack", "suback", "unsuback", "publish", "pubrel", "pingresp", "visitor_connack")
HEARD = ("connect", "subscribe", "unsubscribe", "puback", "pubrec", "pubcomp", "pingreq",
         "visitor_connect")
ACTIONS = ("cut", "reset", "stall", "swallow", "trickle", "forget", "replace", "insert", "end", "call")


class Fault:
    """
    step    "accept", or a packet by name: of SENT (before: it is not sent) or HEARD (before: the
            session never learns of it, as if the broker had died on reading it). A visitor is a
            client that leaves no session behind; see conversation.py
    action  cut      close the connection
            reset    the same with RST, which throws away what is on the way
            stall    keep the connection open and never answer again
            swallow  this one packet is not sent, or is ignored
            trickle  from here on send one byte at a time
            forget   lose the session, and cut
            replace  send `data` in the place of the packet: bytes, a function of the packet, or a
                     dictionary from the version of MQTT to one of these
            insert   send `data` as well
            end      send `data` in the place of the packet, and close
            call     data(broker, connection): anything
    number  the how manieth such packet, counted from when the fault is added
    times   on how many of them in a row (0: for ever)
    optional  it may be that it never comes to this
    """

    def __init__(self, step, action="cut", number=1, when="before", times=1, data=None,
                 optional=False):
        assert step in SENT + HEARD + ("accept",), step
        assert action in ACTIONS and when in ("before", "after"), (action, when)
        self.step, self.action, self.when = step, action, when
        self.number, self.times, self.data, self.optional = number, times, data, optional
        self.seen = 0
        self.fired = 0

    def matches(self):
        """Count one more such step. Whether it is time to fire."""
        self.seen += 1
        return self.seen >= self.number and not (self.times and self.fired >= self.times)

    def bytes_for(self, packet, version):
        """`data` in the place of this packet, on a connection of this version."""
        data = self.data[version] if isinstance(self.data, dict) else self.data
        return data(packet) if callable(data) else data

    def __repr__(self):
        return f"{self.action} {self.when} {self.step} {self.number}"
