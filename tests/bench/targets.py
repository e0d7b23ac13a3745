"""The targets: ratios within one run, and a few plain numbers."""

from results import Target
from throughput import sessions_name, slow_name, window_name

MIB = 1024

LATENCY = "100 messages a second"
IDLE = "idle"
AT_20, AT_1000 = window_name(20), window_name(1000)


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
]
