"""Typed views: a section [view NAME] makes columns of messages of a type that nobody has heard of."""

import json
import os
import re
import subprocess

import engines
import fleet
import harness
from foxtrackrd import foxtrackrctl
from harness import change, check_sound, columns_of, locked, query, value, wait_until

README = (harness.ROOT / "schema/README.md").read_text(encoding="utf-8")
POSITION = {"type": "gps", "latitude": "gps.lat", "longitude": "gps.lon"}


def publish(broker, device, time_ms, body, kind="gps"):
    broker.publish(f"foxtrackr/{device}/V3.0/{kind}", json.dumps(
        {"messageType": 9, "deviceId": device, "version": 3, "timeMs": time_ms, **body}))


def texts(rows):
    """The values as texts without blanks: those of a path are what the body has in SQLite, and texts in PostgreSQL."""
    return [tuple(None if one is None else str(one).replace(" ", "") for one in row) for row in rows]


def wait_view(daemon, view, *columns):
    """Wait until the view has these columns of its section; none: until there is no such view."""
    own = ["device", "family", "device_id", "time_ms", "time_utc"]
    wanted = [*own, *columns, "received_ms"] if columns else []
    wait_until(lambda: columns_of(daemon.database, view) == wanted, 20,
               lambda: f"{wanted}; there are {columns_of(daemon.database, view)}\n{daemon.log_tail()}")


def views_checked(daemon):
    """view -> (good, detail), as foxtrackrctl check says."""
    done = foxtrackrctl(daemon, "check", "--json", check=False)
    return {one["detail"].split(":")[0]: (one["good"], one["detail"])
            for one in json.loads(done.stdout)["checks"] if one["check"] == "view" and not one["warning"]}


def warnings_checked(daemon, check):
    done = foxtrackrctl(daemon, "check", "--json")
    return [one["detail"] for one in json.loads(done.stdout)["checks"] if one["check"] == check and one["warning"]]


def test_from_publish_to_select(broker, daemon):
    """Goal: messages that came before their section was written are in the view as those that come
    later; a reload adds the view, changes it and removes it, and cuts no connection."""
    now = fleet.now_ms()
    daemon.start()
    publish(broker, "g1", now, {"gps": {"lat": 47.37, "lon": 8.54}})
    daemon.wait_rows(1)

    daemon.configure(**{"view position": POSITION})
    daemon.reload()
    wait_view(daemon, "position", "latitude", "longitude")
    publish(broker, "g2", now + 1000, {"gps": {"lat": 47, "lon": "8.5", "sat": [1, 2]}})
    publish(broker, "g2", now + 1000, {"door": "open"}, kind="door")
    daemon.wait_rows(3)
    found = query(daemon.database, "SELECT device_id, time_ms, latitude, longitude FROM position ORDER BY time_ms")
    assert texts(found) == texts([("g1", now, 47.37, 8.54), ("g2", now + 1000, 47, "8.5")])
    assert engines.POSTGRESQL or found[1][2:] == (47, "8.5")

    daemon.configure(**{"view position": {"longitude": None, "satellites": "gps.sat"},
                        "view door": {"type": "DOOR", "state": "door"}})
    daemon.reload()
    wait_view(daemon, "position", "latitude", "satellites")
    wait_view(daemon, "door", "state")
    assert texts(query(daemon.database, "SELECT latitude, satellites FROM position ORDER BY time_ms")) \
        == [("47.37", None), ("47", "[1,2]")]
    assert query(daemon.database, "SELECT device_id, state FROM door") == [("g2", "open")]

    daemon.configure(**{"view position": None, "view door": None})
    daemon.reload()
    wait_view(daemon, "position")
    wait_view(daemon, "door")
    connects = daemon.wait_status(lambda status: True)["sessions"][0]["connects"]
    daemon.stop()
    for said in ("view position: made$", "view position: made anew", "view door: made$",
                 "view position: removed", "view door: removed"):
        assert re.search(said, daemon.log(), re.MULTILINE), said
    assert connects == 1, "a reload has cut the connection"
    assert value(daemon.database, "SELECT count(*) FROM messages") == 3
    check_sound(daemon.database)


def test_at_a_start(broker, daemon):
    """Goal: the views are there after a start, from the first one on; a section that went while the
    daemon was away takes its view along, and check says what will become of each."""
    daemon.configure(**{"view position": POSITION})
    assert views_checked(daemon)["position"] == (
        True, "position: the daemon makes it at its start or at a reload")
    daemon.start()
    wait_view(daemon, "position", "latitude", "longitude")
    daemon.stop()
    assert views_checked(daemon)["position"] == (True, "position: is in the database as configured")

    daemon.configure(**{"view position": None, "view place": POSITION})
    checked = views_checked(daemon)
    assert checked["place"] == (True, "place: the daemon makes it at its start or at a reload")
    assert "removes it" in checked["position"][1]
    daemon.start()
    wait_view(daemon, "place", "latitude", "longitude")
    wait_view(daemon, "position")
    daemon.stop()
    daemon.start()
    assert "view place" not in daemon.log(), "a start that changes nothing speaks of views"
    daemon.stop()


def test_what_others_made_stays(broker, daemon):
    """Goal: a section whose name is taken, by somebody's view or table, has no view, and that is said;
    messages are stored as before, and the other sections have theirs. A name of the daemon's own is refused."""
    daemon.start()
    change(daemon.database, "CREATE VIEW position AS SELECT 42 AS mine")
    change(daemon.database, "CREATE TABLE stations (mine int)")
    daemon.configure(**{"view position": POSITION, "view stations": POSITION, "view place": POSITION})
    daemon.reload()
    wait_view(daemon, "place", "latitude", "longitude")
    daemon.wait_log("view position: not made: the database has a view position")
    daemon.wait_log("view stations: not made: the database has a table stations")
    publish(broker, "g1", fleet.now_ms(), {"gps": {"lat": 47.37, "lon": 8.54}})
    daemon.wait_rows(1)
    assert query(daemon.database, "SELECT * FROM position") == [(42,)]
    assert texts(query(daemon.database, "SELECT latitude FROM place")) == [("47.37",)]
    checked = views_checked(daemon)
    assert [checked[name][0] for name in ("position", "stations", "place")] == [False, False, True]
    assert foxtrackrctl(daemon, "check", check=False).returncode == 1

    daemon.configure(**{"view position": None, "view stations": None, "view place": None, "view fleet": POSITION})
    done = foxtrackrctl(daemon, "check", check=False)
    assert done.returncode == 78 and "[view fleet]: foxtrackrd has a table or a view of that name" in done.stderr
    daemon.configure(**{"view fleet": None})
    daemon.reload()
    wait_view(daemon, "place")
    daemon.stop()
    assert query(daemon.database, "SELECT * FROM position") == [(42,)]
    check_sound(daemon.database)


def test_a_misspelt_type_or_path_is_told(broker, daemon):
    """Goal: check warns of a type that no message has, and of a path that no message of the type has,
    with the paths that there are; not of one that some messages have."""
    now = fleet.now_ms()
    daemon.configure(**{"view position": {**POSITION, "latitude": "gps.latt", "satellites": "gps.sat"},
                        "view place": {"type": "gsp", "latitude": "gps.lat"}})
    daemon.start()
    wait_view(daemon, "place", "latitude")
    publish(broker, "g1", now, {"gps": {"lat": 47.37, "lon": 8.54, "hints": [1, 2], "fix": {"kind": "3d"}}})
    publish(broker, "g2", now, {"gps": {"lat": 47.37, "lon": 8.54, "sat": None}})
    daemon.wait_rows(2)
    assert warnings_checked(daemon, "view") == [
        "position: latitude has no value: of 2 messages of type gps none has gps.latt;"
        " one has gps.lat, gps.lon, gps.fix.kind",
        "place: the database has no message of type gsp yet"]
    daemon.stop()


def test_a_mistake_changes_nothing(broker, daemon):
    """Goal: a section with a mistake is named with file, line and key, and the views stay as they are."""
    daemon.configure(**{"view position": POSITION})
    daemon.start()
    wait_view(daemon, "position", "latitude", "longitude")
    daemon.configure(**{"view position": {"latitude": "gps.lat'); DROP TABLE battery; --\"",
                                          "order": "gps.x"}})
    lines = daemon.config.read_text().splitlines()
    daemon.reload()
    for key in ("latitude", "order"):
        number = next(n for n, line in enumerate(lines, 1) if line.startswith(f"{key} ="))
        assert re.search(rf"foxtrackrd\.conf:{number}: view position\.{key}: ", daemon.log())
    assert "keeping the configuration as it was" in daemon.log()
    daemon.stop()
    assert columns_of(daemon.database, "position")[5:7] == ["latitude", "longitude"]


def test_a_locked_database_delays_the_views_alone(broker, daemon):
    """Goal: while another program writes, the views wait for it and are made afterwards."""
    daemon.start()
    with locked(daemon.database):
        daemon.configure(**{"view position": POSITION})
        daemon.reload()
        daemon.wait_log("the typed views stay as they are for the moment")
    wait_view(daemon, "position", "latitude", "longitude")
    daemon.stop()


def test_tools_keep_working(broker, daemon, tmp_path):
    """Goal: verify runs the views, a backup has them, replay goes through their messages, and after a
    restore the daemon makes them those of its configuration again."""
    now = fleet.now_ms()
    daemon.configure(**{"view position": POSITION})
    daemon.start()
    publish(broker, "g1", now, {"gps": {"lat": 47.37, "lon": 8.54}})
    daemon.wait_rows(1)
    wait_view(daemon, "position", "latitude", "longitude")
    done = foxtrackrctl(daemon, "verify")
    assert re.search(r"view position +answers|view position.*answers$", done.stdout, re.MULTILINE)
    assert "BAD" not in done.stdout
    foxtrackrctl(daemon, "replay")
    assert query(daemon.database, "SELECT latitude FROM position") == [(47.37,)]

    backup = tmp_path / "backup.db"
    foxtrackrctl(daemon, "backup", backup)
    assert query(backup, "SELECT latitude FROM position") == [(47.37,)]
    assert "BAD" not in foxtrackrctl(daemon, "verify", backup).stdout

    daemon.configure(**{"view position": {"longitude": None}})
    daemon.reload()
    wait_view(daemon, "position", "latitude")
    daemon.stop()
    foxtrackrctl(daemon, "restore", backup)
    assert columns_of(daemon.database, "position")[5:7] == ["latitude", "longitude"]
    daemon.start()
    wait_view(daemon, "position", "latitude")
    daemon.stop()
    check_sound(daemon.database)


def test_the_worked_example(broker, make_daemon):
    """Goal: the example of schema/README.md does what it says, as it stands there."""
    chapter = README.split("\n## Typed views\n")[1].split("\n## ")[0]
    body = re.search(r"`(\{\"messageType\".*?\})`", chapter, re.DOTALL).group(1).replace("\n", " ")
    topic = re.search(r"`(foxtrackr/\S+)`", chapter).group(1)
    section = re.search(r"```ini\n\[view (\w+)\]\n(.*?)```", chapter, re.DOTALL)
    sql = re.search(r"```sql\n(.*?)```", chapter, re.DOTALL).group(1)
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")]
                        for line in re.findall(r"^\|.*\|$", chapter, re.MULTILINE)]
    keys = dict(line.split(" = ", 1) for line in section.group(2).splitlines())

    daemon = make_daemon(broker, **{f"view {section.group(1)}": keys})
    daemon.start()
    broker.publish(topic, body)
    daemon.wait_rows(1)
    wait_view(daemon, section.group(1), *[key for key in keys if key != "type"])
    done = subprocess.run(["sqlite3", "-readonly", "-header", "-separator", "|", daemon.database, sql],
                          capture_output=True, encoding="utf-8", timeout=60, check=True)
    assert [line.split("|") for line in done.stdout.splitlines()] == [header, *rows]
    daemon.stop()


def test_a_kill_leaves_the_views_of_before_or_after(broker, daemon):
    """Goal: killed at any moment of a change, the daemon has either list whole, and the next start has
    the configured one."""
    both = {"view one": {"type": "gps", "a": "gps.lat"}, "view two": {"type": "gps", "a": "gps.lon"}}
    for turn in range(6):
        column = f"a{turn}"
        daemon.configure(**{name: {"type": "gps", column: "gps.lat", f"a{turn - 1}": None, "a": None}
                            for name in both})
        daemon.start(wait="ready" if turn % 2 else None)
        if turn % 2 == 0:
            wait_until(lambda: daemon.log() or os.path.exists(daemon.database), 20)
        daemon.kill()
        if engines.POSTGRESQL or os.path.exists(daemon.database):
            found = {name: columns_of(daemon.database, name)[5:6] for name in ("one", "two")}
            assert found["one"] == found["two"], found
    daemon.start()
    for name in ("one", "two"):
        wait_view(daemon, name, "a5")
    daemon.stop()
    check_sound(daemon.database)
