"""Messages a second: everybody on the same broker, on slow disks, and over a slow network."""

import functools

import contestants
from contestants import ASKS, CONTESTANTS, measured, settle
from network import ROUND_TRIP_MS
from stage import Broker, Failure, say

WINDOWS = (20, 1000)
SLOW_WINDOW = 200
SLOW_MS = (2, 8)
SLOW_COUNTS = {("b", 2): 40_000, ("b", 8): 16_000, ("d", 2): 1000, ("d", 8): 300}
FIXED_US = (50, 100, 200, 400)
FIXED_COUNT = 300_000
SESSION_COUNTS = {1: 600, 4: 2400}
BROKER_COUNT = 3_000_000
ASKED_COUNTS = {200: 20_000, 1000: 60_000, 4000: 200_000}   # by Receive Maximum
ASKED_MOST = {"g5": 60_000}
FLOOD = 65_535                  # every packet identifier
FLOOD_COUNT = 400_000
QUICK_COUNT = 2000


def window_name(window):
    return f"window {window:,}"


def slow_name(slow_ms):
    return f"window {SLOW_WINDOW}, sync + {slow_ms} ms"


def fixed_name(sync_us):
    return f"{window_name(WINDOWS[0])}, a sync of {sync_us} µs" if sync_us else \
        f"{window_name(WINDOWS[0])}, nothing to sync"


def broker_name(qos, tls):
    return f"{window_name(WINDOWS[-1])}, QoS {qos}, {'TLS' if tls else 'plain'}"


def sessions_name(sessions):
    return (f"window 20, {ROUND_TRIP_MS} ms round trip, "
            f"{sessions} session{'s' if sessions > 1 else ''}")


def asked_name(receive_maximum):
    return f"{ROUND_TRIP_MS} ms round trip, Receive Maximum {receive_maximum:,}"


FLOOD_NAME = f"{FLOOD:,} in flight, whatever was asked for"


def drain(stage, start, count, *, name="run", before_stream=None, sample=None, before_stop=None,
          **broker):
    """
    One run: a fresh broker with `count` messages, a fresh directory, one client. Returns the
    metrics. start(stage, directory, port) makes the client. Called with it: before_stream when it
    has subscribed and nothing has come, sample meanwhile, before_stop when all is acknowledged.
    """
    with stage.fresh_directory(name) as directory:
        server = Broker(stage, directory, count, hold=bool(before_stream), **broker)
        client = None
        try:
            client = start(stage, directory, server.port)
            if before_stream:
                server.release(client, lambda: before_stream(client))
            said = server.wait(client, sample=(lambda: sample(client)) if sample else None)
            if said["messages"] < count:
                raise Failure(f"{said['messages']} of {count} messages acknowledged")
            if said["reconnects"]:
                raise Failure(f"connected again, {said['reconnects']} times:\n{client.log_tail()}")
            seconds = said["seconds"] + settle(client)
            cpu, memory = measured(client)
            if before_stop:
                before_stop(client)
            client.stop()
            client.check(count)
        finally:
            if client:
                client.close()
            server.close()
    return {"rate_per_s": count / seconds, "seconds": seconds, "acknowledged_per_s": said["rate"],
            "client_cpu_us": cpu / count * 1e6, "broker_cpu_us": said["cpu_seconds"] / count * 1e6,
            "rss_kib": memory.get("VmRSS"), "rss_peak_kib": memory.get("VmHWM")}


class Throughput:
    """The runs of one invocation; a failed one is counted and told, and the others go on."""

    def __init__(self, stage, results, tally, rounds, quick, keys):
        self.stage, self.results, self.tally = stage, results, tally
        self.rounds, self.quick, self.keys = rounds, quick, keys

    def _one(self, key, condition, round_, start, count, name, **options):
        def run():
            metrics = drain(self.stage, start, count, name=key, **options)
            self.results.add(key, condition, round_, **metrics)
            return f"{metrics['rate_per_s']:>9,.0f} msg/s  {metrics['client_cpu_us']:5.1f} µs CPU each"

        self.tally.case(f"{round_}/{self.rounds}  {condition:<44} {name:<52}", run)

    def rates(self):
        say("\nThroughput: everybody in turn, TLS, QoS 2")
        for round_ in range(1, self.rounds + 1):
            for window in WINDOWS[:1] if self.quick else WINDOWS:
                for key in self.keys:
                    name, start, *counts = CONTESTANTS[key]
                    if key in ASKS:
                        start = functools.partial(start, receive_maximum=window)
                    if key == "b":
                        self.results.add(key, window_name(window), round_, sync_us=self.stage.sync_us())
                    self._one(key, window_name(window), round_, start,
                              QUICK_COUNT if self.quick else counts[WINDOWS.index(window)], name,
                              window=window)

    def broker(self):
        say("\nThe broker itself, with a client that only answers")
        for round_ in range(1, self.rounds + 1):
            for qos in (1, 2):
                for tls in (False, True):
                    self._one("ceiling", broker_name(qos, tls), round_,
                              lambda *where, q=qos, t=tls: contestants.ceiling(*where, qos=q, tls=t),
                              QUICK_COUNT if self.quick else BROKER_COUNT,
                              contestants.label("ceiling"), window=WINDOWS[-1], qos=qos, tls=tls)

    def slow_disk(self):
        say("\nSlow disk: every fdatasync takes longer")
        for round_ in range(1, self.rounds + 1):
            for slow_ms in SLOW_MS:
                for key in ("b", "d"):
                    name, start, *_ = CONTESTANTS[key]
                    count = SLOW_COUNTS[key, slow_ms]
                    self._one(key, slow_name(slow_ms), round_,
                              lambda *where, s=start, ms=slow_ms: s(*where, slow_us=ms * 1000),
                              min(count, QUICK_COUNT, 100 if key == "d" else QUICK_COUNT)
                              if self.quick else count, name, window=SLOW_WINDOW)

    def fixed_disk(self):
        say("\nNo disk: what a sync of a given time costs, and (a), which has none")
        for round_ in range(1, self.rounds + 1):
            name, start, count, _ = CONTESTANTS["a"]
            self._one("a", fixed_name(0), round_, start, QUICK_COUNT if self.quick else count, name,
                      window=WINDOWS[0])
            for sync_us in FIXED_US:
                self._one("b", fixed_name(sync_us), round_,
                          lambda *where, us=sync_us: contestants.full(
                              *where, environment=contestants.fixed_disk(self.stage, us)),
                          QUICK_COUNT if self.quick else FIXED_COUNT, contestants.label("b"),
                          window=WINDOWS[0])

    def sessions(self):
        say("\nSlow network: one session and four")
        for round_ in range(1, self.rounds + 1):
            for sessions, count in SESSION_COUNTS.items():
                self._one("b", sessions_name(sessions), round_,
                          lambda *where, n=sessions: contestants.full(*where, sessions=n),
                          count // 3 if self.quick else count, contestants.label("b"), window=20,
                          delay_ms=ROUND_TRIP_MS, sessions=sessions)

    def asked(self):
        say("\nSlow network, a window of 20 at the broker: what asking for more in MQTT 5 brings")
        for round_ in range(1, self.rounds + 1):
            for receive_maximum, count in ASKED_COUNTS.items():
                for key in ASKS:
                    if key in self.keys:
                        name, start, *_ = CONTESTANTS[key]
                        self._one(key, asked_name(receive_maximum), round_,
                                  functools.partial(start, receive_maximum=receive_maximum),
                                  QUICK_COUNT if self.quick else min(count, ASKED_MOST.get(key, count)),
                                  name, window=20,
                                  delay_ms=ROUND_TRIP_MS)
        say("\nA broker that has every packet identifier in flight")
        for round_ in range(1, self.rounds + 1):
            for key in ("b", "b5"):
                if key in self.keys:
                    name, start, *_ = CONTESTANTS[key]
                    self._one(key, FLOOD_NAME, round_, start, FLOOD if self.quick else FLOOD_COUNT, name,
                              window=FLOOD, own_window=True)
