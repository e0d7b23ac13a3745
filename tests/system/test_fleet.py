"""The fleet player's stories: that what it says is true of its trackers is true of what it publishes."""

import collections
import json

import pytest

from harness import FLEET, run

HOUR_MS = 3_600_000
STORY = ("--print", "--devices", 40, "--groups", 4, "--grouped", 20, "--group-topics", "--days", 12,
         "--interval", 3 * 3600, "--end-ms", 1_764_000_000_000)
EVENTS = ("--silent", 2, "--pauses", 3, "--warm", 3)
MORE = ("--garbage", 15, "--other", 6)


def readings_of(lines):
    """What each tracker has published on its own topics, by type: (time_ms, value)."""
    found = collections.defaultdict(list)
    for line in lines:
        topic, payload = line.split("\t")
        _, name, *_, kind = topic.split("/")
        body = json.loads(payload)
        if name == body["deviceId"]:
            value = body["battery"]["level"] if kind == "bat" else body["temperature"]["celsius"]
            found[name, kind].append((body["timeMs"], value))
    return found


@pytest.fixture(name="story", scope="module")
def fixture_story(tmp_path_factory):
    """The readings of a story, and what is true of each tracker."""
    path = tmp_path_factory.mktemp("fleet") / "truth.jsonl"
    readings = readings_of(run(FLEET, *STORY, *EVENTS, "--truth", path).stdout.splitlines())
    truth = [json.loads(line) for line in path.read_text().splitlines()]
    return readings, {one["device"]: one for one in truth}


def test_parts_make_up_the_whole(tmp_path):
    """Goal: with --skip and --limit every message is published once, and the manifest is the whole one."""
    whole = run(FLEET, *STORY, *EVENTS, *MORE, "--manifest", tmp_path / "whole").stdout.splitlines()
    parts = [run(FLEET, *STORY, *EVENTS, *MORE, *part, "--manifest", tmp_path / "part").stdout.splitlines()
             for part in (("--limit", 1000), ("--skip", 1000, "--limit", 2), ("--skip", 1002))]
    assert [len(part) for part in parts[:2]] == [1000, 2]
    assert sum(parts, []) == whole
    assert (tmp_path / "part").read_text() == (tmp_path / "whole").read_text()


def test_events_change_only_those_that_have_them(story):
    """Goal: a tracker without an event publishes the same, whatever happens to others."""
    readings, truth = story
    plain = readings_of(run(FLEET, *STORY).stdout.splitlines())
    changed = {device for device, one in truth.items()
               if one["silent"] or one["after_pause_ms"] or one["warm_first_ms"]}
    assert len(changed) == 8
    for key in plain:
        assert (readings[key] == plain[key]) == (key[0] not in changed or key[1] == "bat"
                                                 and bool(truth[key[0]]["warm_first_ms"])), key


def test_copies_go_to_the_groups_of_those_that_are_in_one(story):
    """Goal: --grouped says how many trackers have a group; the others have none."""
    _, truth = story
    assert collections.Counter(one["group"] for one in truth.values()) == {
        "": 20, "depot-north": 5, "depot-south": 5, "trailers": 5, "reefers": 5}
    topics = {line.split("/")[1] for line in run(FLEET, *STORY).stdout.splitlines()}
    assert {"depot-north", "reefers"} <= topics


def test_truth_of_batteries(story):
    """Goal: the rate of discharge, the recharges and the time of empty follow from what was published."""
    readings, truth = story
    assert sum(one["recharges"] for one in truth.values()) > 10
    for device, one in truth.items():
        levels = readings[device, "bat"]
        steps = list(zip(levels, levels[1:]))
        rises = [later[0] for earlier, later in steps if later[1] > earlier[1]]
        assert (len(rises), rises[-1] if rises else None) == (one["recharges"], one["recharged_ms"])
        falls = [(a[1] - b[1], b[0] - a[0]) for a, b in steps if b[1] <= a[1]]
        rate = sum(fall for fall, _ in falls) / sum(span for _, span in falls) * 24 * HOUR_MS
        assert abs(rate / one["pct_per_day"] - 1) < 0.1, device
        assert levels[-1] == (one["last_ms"], one["level_pct"])
        left_days = (one["empty_ms"] - one["last_ms"]) / 24 / HOUR_MS
        assert abs(left_days - one["level_pct"] / one["pct_per_day"]) < 0.2


def test_truth_of_silence(story):
    """Goal: two trackers end early, three make one long pause, and all others report evenly."""
    readings, truth = story
    end_ms = max(one["last_ms"] for one in truth.values())
    seen = collections.Counter()
    for device, one in truth.items():
        times = [time_ms for time_ms, _ in readings[device, "bat"]]
        long = [(a, b) for a, b in zip(times, times[1:]) if b - a > 3 * HOUR_MS]
        assert times == [time_ms for time_ms, _ in readings[device, "temp"]]
        assert (end_ms - times[-1] > 24 * HOUR_MS) == one["silent"]
        assert times[-1] == one["last_ms"]
        assert long == ([(one["before_pause_ms"], one["after_pause_ms"])] if one["after_pause_ms"] else [])
        seen.update({"silent": one["silent"], "pauses": len(long)})
    assert seen == {"silent": 2, "pauses": 3}


def test_truth_of_temperatures(story):
    """Goal: three trackers of the last group are warm for a time, one of them until the end, and nobody
    else is."""
    readings, truth = story
    warm = {device: one for device, one in truth.items() if one["warm_first_ms"]}
    assert len(warm) == 3 and {one["group"] for one in warm.values()} == {"reefers"}
    assert sum(one["warm_after_ms"] is None for one in warm.values()) == 1
    for device, one in truth.items():
        high = [reading for reading in readings[device, "temp"] if reading[1] >= 25]
        assert all(celsius < 20 for _, celsius in readings[device, "temp"] if celsius < 25)
        assert bool(high) == (device in warm)
        if high:
            assert (high[0][0], high[-1][0]) == (one["warm_first_ms"], one["warm_last_ms"])
            assert max(celsius for _, celsius in high) == pytest.approx(one["warm_celsius_most"], abs=0.005)
            after = [time_ms for time_ms, _ in readings[device, "temp"] if time_ms > high[-1][0]]
            assert (after[0] if after else None) == one["warm_after_ms"]
