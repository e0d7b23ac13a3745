"""foxtrackrctl export: which columns there are, and which of those in ms are times."""

import pytest

from exported import DURATIONS, MOMENTS, START, exported, fill, make_database


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "fox.db"
    db = make_database(path)
    fill(db)
    yield path, db
    db.close()


def test_durations_have_no_text(database):
    """Goal: each column in ms of the schema is a time, which has a text beside it, or a duration: a new one has to be
    put among these. day_ms has its date beside it."""
    path, db = database
    for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
                              " AND name NOT LIKE 'sqlite_%'").fetchall():
        columns = [row[1] for row in db.execute(f"PRAGMA table_xinfo({name})")]
        in_ms = {column for column in columns if column.endswith("_ms")}
        known = {column for column in in_ms if column in MOMENTS or column.endswith(DURATIONS) or column == "day_ms"}
        assert in_ms == known, name
        if in_ms:
            head = exported(path, name)[0]
            written = {column for column in head if column.endswith("_utc")} - {"begin_utc"}
            assert written - {"day_utc"} == {f"{column[:-3]}_utc" for column in in_ms & MOMENTS}, name
            assert ("day_utc" in written) == ("day_utc" in columns), name


def test_columns_of_others_are_as_they_are(database):
    """Goal: of a column in ms that a typed view or an analyst has made nobody knows whether it is a time."""
    path, db = database
    db.execute("CREATE VIEW gps AS SELECT m.device, m.time_ms, datetime(m.time_ms / 1000, 'unixepoch') AS time_utc,"
               " 5 AS uptime_ms, 6 AS sent_ms, 'noon' AS sent_utc FROM messages AS m WHERE type = 'gps'")
    head, rows = exported(path, "gps")
    assert head == ["device", "family", "device_id", "time_ms", "time_utc", "uptime_ms", "sent_ms", "sent_utc"]
    assert rows[0][3:] == (str(START), "2026-11-21T00:00:00.000Z", "5", "6", "noon")


def test_a_day_has_its_date(database):
    """Goal: a day in a view is the date that the view has, and no moment before it: east of UTC it begins on another one."""
    path, db = database
    for name in ("battery_daily", "coverage_daily", "reporting_gaps", "group_daily", "fleet_daily"):
        head = exported(path, name)[0]
        assert "day_ms" in head and ("day" in head or "day_utc" in head), name
        assert ("day_utc" in head) == (name == "battery_daily"), name
