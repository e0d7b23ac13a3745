"""The targets: ratios within one run, and a few plain numbers."""

from results import Target
from throughput import FLOOD_NAME, ROUND_TRIP_MS, sessions_name, slow_name, window_name

MIB = 1024

LATENCY = "100 messages a second"
IDLE = "idle"
AT_20, AT_1000 = window_name(20), window_name(1000)
FAR = f"{AT_20}, {ROUND_TRIP_MS} ms round trip"     # on a real broker


def _ratio(one, other, condition):
    return lambda results: results.ratio((one, condition), (other, condition))


def _gate_and_writer(condition):
    """Their CPU against that of Paho's threads in the same process."""
    def value(results):
        cpu = [results.median("b", condition, f"cpu_{who}_us") for who in ("gate", "writer", "Paho")]
        return None if None in cpu else (cpu[0] + cpu[1]) / cpu[2]
    return value


def _worst(metric, scale=1):
    """Of all conditions under which it was measured."""
    def value(results):
        found = [row.value for row in results.rows if row.contestant == "b" and row.metric == metric]
        return max(found) / scale if found else None
    return value


def _median(condition, metric):
    return lambda results: results.median("b", condition, metric)


def _against_the_disk(results):
    """
    (b), window 20, against what this disk allows: a round takes what it takes (a), which stores nothing,
    and one sync, in which no message can be acknowledged.
    """
    ours, bare = results.median("b", AT_20), results.median("a", AT_20)
    sync_us = results.median("b", AT_20, "sync_us")
    return ours * (1 / bare + sync_us / 1e6 / 20) if ours and bare and sync_us else None


def _best(one, other, condition):
    """Of two contestants, each with its faster version of MQTT."""
    def value(results):
        rates = [[results.median(key, condition) for key in keys] for keys in (one, other)]
        return None if any(None in some for some in rates) else max(rates[0]) / max(rates[1])
    return value


TARGETS = [
    Target("(a) lean Paho against (a) Debian's shared, window 20", ">=", 1.6, _ratio("a", "a-shared", AT_20)),
    Target("(a) lean Paho against (a) Debian's shared, window 1,000", ">=", 1.6, _ratio("a", "a-shared", AT_1000)),
    Target("(b)/(a), window 20", ">=", 0.80, _ratio("b", "a", AT_20)),
    Target("(b)/(a), window 1,000", ">=", 0.95, _ratio("b", "a", AT_1000)),
    Target("(b)/(d), window 20, disk as it is", ">=", 4, _ratio("b", "d", AT_20)),
    Target("(b)/(d), window 200, sync + 2 ms", ">=", 20, _ratio("b", "d", slow_name(2))),
    Target("(b)/(e), window 20", ">=", 2, _ratio("b", "e", AT_20)),
    Target("(b)/(f), window 1,000", ">=", 1.0, _ratio("b", "f", AT_1000)),
    Target("CPU of gate + writer against Paho's, window 20", "<=", 0.5, _gate_and_writer(AT_20)),
    Target("CPU of gate + writer against Paho's, window 1,000", "<=", 0.5, _gate_and_writer(AT_1000)),
    Target("database bytes a reading, indexes included", "<=", 64, _worst("database_bytes_a_reading"), "B", 1),
    Target("WAL on disk during the drain", "<=", 64, _worst("wal_peak_kib", MIB), "MiB", 1),
    Target("publish to visible row, 100 msg/s, p50", "<=", 5, _median(LATENCY, "p50_ms"), "ms"),
    Target("publish to visible row, 100 msg/s, p99", "<=", 25, _median(LATENCY, "p99_ms"), "ms"),
    Target("idle CPU", "<=", 0.3, _median(IDLE, "cpu_percent"), "% of a core", 3),
    Target("30 ms round trip, window 20: 4 sessions against 1", ">=", 3.8,
           lambda results: results.ratio(("b", sessions_name(4)), ("b", sessions_name(1)))),
    Target("(b) with MQTT 5/(b), the same window of 20", ">=", 0.97, _ratio("b5", "b", AT_20)),
    Target("(b) with MQTT 5/(b), the same window of 1,000", ">=", 0.97, _ratio("b5", "b", AT_1000)),
    Target("(b), window 20, against what the disk allows", ">=", 0.95, _against_the_disk),
    Target("largest RSS with 65,535 in flight", "<=", 64,
           lambda results: max((value / MIB for key in ("b", "b5")
                                for value in results.values(key, FLOOD_NAME, "rss_peak_kib")), default=None),
           "MiB", 1),
]

REAL_TARGETS = [
    Target("over 30 ms: (b) with MQTT 5/(b)", ">=", 40, _ratio("b5", "b", FAR), digits=1),
    Target("over 30 ms: (b)/(g), both with MQTT 5 and 1,000", ">=", 1.5, _ratio("b5", "g5", FAR)),
    Target("over 30 ms: (b)/(g), both with MQTT 5 and 4,000", ">=", 1.5, _ratio("b5-4000", "g5-4000", FAR)),
    Target("over 30 ms: (b)/(g), both with MQTT 5 and 10,000", ">=", 1.5, _ratio("b5-10000", "g5-10000", FAR)),
    Target("on loopback: (b) with MQTT 5/(b)", ">=", 2.5, _ratio("b5", "b", AT_20)),
    Target("on loopback: (b)/(g), each with its faster version", ">=", 1.5,
           _best(("b", "b5"), ("g", "g5"), AT_20)),
]
"""Of mosquitto at its defaults, which is a window of 20."""
