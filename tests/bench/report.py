"""The results as a person reads them: tables of text, Markdown to paste, panels of a chart."""

from contestants import ASKS, CONTESTANTS, label
from results import RATE, machine, markdown_table, spread, text_table
from targets import IDLE, LATENCY, TARGETS
from throughput import (ASKED_COUNTS, FIXED_US, FLOOD_NAME, SLOW_MS, SLOW_WINDOW, WINDOWS, asked_name,
                        broker_name, fixed_name, sessions_name, slow_name, window_name)


def _rates(results):
    """Rows of: contestant, rate at each window; and how fast it acknowledged, where that is another."""
    rows = []
    for key in CONTESTANTS:
        if any(results.values(key, window_name(w)) for w in WINDOWS):
            rows.append([label(key), *(spread(results.values(key, window_name(w))) for w in WINDOWS)])
        if key in ("b", "c") and rows:
            rows.append([f"({key}) until the last acknowledgement",
                         *(spread(results.values(key, window_name(w), "acknowledged_per_s")) for w in WINDOWS)])
    return rows


def _cpu(results):
    """Rows of: contestant, CPU of the client a message at each window."""
    return [[label(key), *(spread(results.values(key, window_name(w), "client_cpu_us"), 1) for w in WINDOWS)]
            for key in CONTESTANTS if any(results.values(key, window_name(w)) for w in WINDOWS)]


def _slow(results):
    return [[label(key), *(spread(results.values(key, slow_name(ms))) for ms in SLOW_MS)]
            for key in ("b", "d") if any(results.values(key, slow_name(ms)) for ms in SLOW_MS)]


def _fixed(results):
    """Rows of: how long a sync takes, rate of (b), against (a) in the same part."""
    rows = []
    for sync_us in FIXED_US:
        ratio = results.ratio(("b", fixed_name(sync_us)), ("a", fixed_name(0)))
        if ratio is not None:
            rows.append([f"{sync_us} µs", spread(results.values("b", fixed_name(sync_us))), f"{ratio:.2f}"])
    return rows


def _broker(results):
    """Rows of: QoS, rate without TLS and with it."""
    ways = {qos: [broker_name(qos, tls) for tls in (False, True)] for qos in (1, 2)}
    return [[f"QoS {qos}", *(spread(results.values("ceiling", name)) for name in names)]
            for qos, names in ways.items() if any(results.values("ceiling", name) for name in names)]


def _sessions(results):
    return [[sessions_name(n), spread(results.values("b", sessions_name(n)))]
            for n in (1, 4) if results.values("b", sessions_name(n))]


def _asked(results):
    return [[label(key), *(spread(results.values(key, asked_name(n))) for n in ASKED_COUNTS)]
            for key in ASKS if any(results.values(key, asked_name(n)) for n in ASKED_COUNTS)]


def _flood(results):
    rows = []
    for key in ("b", "b5"):
        peaks = results.values(key, FLOOD_NAME, "rss_peak_kib")
        if peaks:
            rows.append([label(key), spread(results.values(key, FLOOD_NAME)),
                         spread([peak / 1024 for peak in peaks], 1)])
    return rows


def _cost(results):
    """Rows of: what, at each window; everything a message, from the runs of the part `cost`."""
    rows = []
    for prefix, suffix, words in (("cpu_", "_us", "CPU, {}, µs"), ("allocations_", "", "allocations, {}"),
                                  ("calls_", "", "system calls, {}")):
        names = [row.metric[len(prefix):len(row.metric) - len(suffix)] for row in results.rows
                 if row.metric.startswith(prefix) and row.metric.endswith(suffix)]
        for name in dict.fromkeys(names):
            values = [results.median("b", window_name(w), prefix + name + suffix) for w in WINDOWS]
            rows.append([words.format(name), *("" if v is None else f"{v:.3f}" for v in values)])
    for metric, words in (("sqlite_cpu_us", "SQLite alone, a row at the end of a table: CPU, µs"),
                          ("sqlite_time_us", "SQLite alone, the same: time, with its sync, µs")):
        values = [results.median("b", window_name(w), metric) for w in WINDOWS]
        if any(values):
            rows.append([words, *("" if v is None else f"{v:.3f}" for v in values)])
    for metric, words, scale in (("database_bytes_a_reading", "database, bytes", 1),
                                 ("file_bytes_a_reading", "its file, with the room of the inbox, bytes", 1),
                                 ("wal_peak_kib", "largest WAL during the drain, MiB", 1024),
                                 ("messages_a_commit", "messages a commit", 1)):
        values = [results.median("b", window_name(w), metric) for w in WINDOWS]
        if any(values):
            rows.append([words, *("" if v is None else f"{v / scale:.1f}" for v in values)])
    return rows


def _service(results):
    rows = []
    for condition, metric, words, digits in (
            (LATENCY, "p50_ms", "publish to visible row, p50, ms", 2),
            (LATENCY, "p99_ms", "publish to visible row, p99, ms", 2),
            (LATENCY, "worst_ms", "publish to visible row, worst, ms", 2),
            (IDLE, "cpu_percent", "idle, % of a core", 3),
            (IDLE, "wakeups_per_minute", "idle, wake-ups a minute", 0),
            (IDLE, "rss_kib", "idle, RSS, KiB", 0)):
        value = results.median("b", condition, metric)
        if value is not None:
            rows.append([words, f"{value:,.{digits}f}"])
    return rows


def _sections(results):
    windows = [window_name(w) for w in WINDOWS]
    yield ("Messages a second: median (slowest to fastest)", ["", *windows], _rates(results))
    yield (f"Messages a second, the broker's own ceiling, {window_name(WINDOWS[-1])}", ["", "plain", "TLS"],
           _broker(results))
    yield (f"Messages a second on a slow disk, window {SLOW_WINDOW}",
           ["", *(f"sync + {ms} ms" for ms in SLOW_MS)], _slow(results))
    yield (f"Messages a second where the disk is left out and a sync takes so long, {window_name(WINDOWS[0])}",
           ["a sync", "(b)", "(b)/(a)"], _fixed(results))
    yield ("Messages a second over a slow network, (b)", ["", "msg/s"], _sessions(results))
    yield ("Messages a second over 30 ms, by the Receive Maximum that was asked for; window 20 at the broker",
           ["", *(f"{n:,}" for n in ASKED_COUNTS)], _asked(results))
    yield (FLOOD_NAME, ["", "msg/s", "largest RSS, MiB"], _flood(results))
    yield ("CPU of the client, µs a message", ["", *windows], _cpu(results))
    yield ("What a message costs, (b)", ["a message", *windows], _cost(results))
    yield ("In service, (b)", ["", ""], _service(results))
    yield ("Targets", ["", "target", "measured", ""], [list(target.line(results)) for target in TARGETS if target.value(results) is not None])


def text(results):
    return "\n\n".join(f"{title}\n\n{text_table(rows, header)}"
                       for title, header, rows in _sections(results) if rows)


def markdown(results, sync_us, rounds):
    parts = ["\n".join(f"- {line}" for line in [*machine(sync_us), f"{rounds} round{'s' if rounds > 1 else ''}"])]
    parts += [f"**{title}**\n\n{markdown_table(rows, header)}"
              for title, header, rows in _sections(results) if rows]
    return "\n\n".join(parts) + "\n"


def rate_panels(results):
    """For chart.bars()."""
    panels = []
    for heading, keys, condition in (
            *((window_name(w), CONTESTANTS, window_name(w)) for w in WINDOWS),
            *((slow_name(ms), ("b", "d"), slow_name(ms)) for ms in SLOW_MS)):
        rows = []
        for key in keys:
            values = results.values(key, condition)
            if values and key != "ceiling":
                rows.append((label(key), results.median(key, condition, RATE), min(values), max(values),
                             key in ("b", "c")))
        if rows:
            panels.append((heading, rows))
    return panels
