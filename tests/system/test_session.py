"""The durable session at the broker: its filters, its loss, and refused subscriptions."""

import base64
import glob
import hashlib
import json
import re
import signal

import pytest

import broker as brokers
import fleet
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import ROOT, change, check_sound, count_received, query, run, slow_disk, value, wait_until


def filters_on_record(daemon):
    return [name for name, in
            query(daemon.database, "SELECT filter FROM subscriptions ORDER BY filter")]


def test_changed_filters_are_subscribed_and_unsubscribed(make_broker, make_daemon, protocol):
    """
    Goal: a filter that is new in the configuration is subscribed and one that is gone is
    unsubscribed. Where nothing has changed, every filter is subscribed again all the same. With
    MQTT 3.1.1 the retained message comes again for it, and is a duplicate; with MQTT 5 it does not.
    """
    broker = make_broker(verbose=True)
    daemon = make_daemon(broker, broker={"protocol": protocol},
                         session={"filters": "foxtrackr/+/V3.0/bat, foxtrackr/+/V3.0/gps"})
    broker.publish("foxtrackr/f1/V3.0/bat", fleet.battery("f1", fleet.now_ms()), retain=True)
    daemon.start()
    daemon.wait_rows(1)
    daemon.stop()
    assert broker.count_log(f"Received SUBSCRIBE from {CLIENT_ID}") == 2

    again = 1 if protocol == "3.1.1" else 0
    daemon.start()
    daemon.wait_received(1 + again)
    daemon.stop()
    assert broker.count_log(f"Received SUBSCRIBE from {CLIENT_ID}") == 4
    assert broker.count_log(f"Received UNSUBSCRIBE from {CLIENT_ID}") == 0
    assert query(daemon.database, "SELECT received, duplicate FROM runs ORDER BY run DESC LIMIT 1") \
        == [(again, again)]
    assert value(daemon.database, "SELECT count(*) FROM battery") == 1

    daemon.configure(session={"filters": "foxtrackr/+/V3.0/gps\n  foxtrackr/+/V3.0/temp"})
    daemon.start()
    assert broker.count_log(f"Received SUBSCRIBE from {CLIENT_ID}") == 6
    assert broker.count_log(f"Received UNSUBSCRIBE from {CLIENT_ID}") == 1
    now = fleet.now_ms()
    broker.publish("foxtrackr/f1/V3.0/bat", fleet.battery("f1", now))
    broker.publish("foxtrackr/f1/V3.0/temp", fleet.temperature("f1", now))
    wait_until(lambda: query(daemon.database, "SELECT time_ms FROM temperature") == [(now,)],
               what="the message on the new filter")
    wait_until(lambda: filters_on_record(daemon)
               == ["foxtrackr/+/V3.0/gps", "foxtrackr/+/V3.0/temp"], what="the filters on record")
    daemon.stop()
    assert value(daemon.database, "SELECT received FROM runs ORDER BY run DESC LIMIT 1") == 1, \
        "the broker still sends what was unsubscribed"

    broker.publish("foxtrackr/f1/V3.0/bat", fleet.battery("f1", now + 1))
    broker.publish("foxtrackr/f1/V3.0/temp", fleet.temperature("f1", now + 1))
    daemon.start()
    wait_until(lambda: value(daemon.database, "SELECT count(*) FROM temperature") == 2,
               what="the message that the broker kept")
    daemon.stop()
    assert value(daemon.database, "SELECT count(*) FROM battery") == 1


def test_changed_qos_is_subscribed_again(make_broker, make_daemon):
    """Goal: session.qos holds for the subscriptions that are there already, too."""
    broker = make_broker(verbose=True)
    daemon = make_daemon(broker, session={"qos": 1})
    daemon.start()
    daemon.stop()
    daemon.configure(session={"qos": 2})
    daemon.start()
    daemon.stop()

    assert broker.count_log(f"Received SUBSCRIBE from {CLIENT_ID}") == 2
    assert query(daemon.database, "SELECT filter, qos FROM subscriptions") == [("foxtrackr/#", 2)]


def test_a_broker_with_a_maximum_qos(make_broker, make_daemon):
    """
    Goal: a filter that is granted with QoS 1 of 2 is told with the key that settles it. The
    subscription is on record with that QoS: it ends when the filter is configured no more.
    """
    broker = make_broker(verbose=True, extra="max_qos 1")
    daemon = make_daemon(
        broker, broker={"host": "127.0.0.1", "port": broker.plain_port, "tls": "no", "ca_file": None},
        session={"filters": "foxtrackr/#, other/#"})
    daemon.start(wait=None)
    reason = daemon.wait_status(
        lambda now: now["sessions"][0]["state"] == "partly subscribed")["sessions"][0]["reason"]
    for name in ("foxtrackr/#", "other/#"):
        assert (f"the broker grants QoS 1 for {name}, asked was 2: messages come at least once, and "
                "copies are recognised: set session.qos = 1") in reason
    assert "lost on the way" not in reason
    daemon.stop()
    assert query(daemon.database, "SELECT filter, qos FROM subscriptions ORDER BY filter") \
        == [("foxtrackr/#", 1), ("other/#", 1)]

    daemon.configure(session={"filters": "foxtrackr/#", "qos": 1})
    daemon.start()
    daemon.stop()
    assert broker.count_log(f"Received UNSUBSCRIBE from {CLIENT_ID}") == 1
    assert filters_on_record(daemon) == ["foxtrackr/#"]


def register_without(broker, daemon, *filters):
    """As a person with the same client id and mosquitto_sub: the session stays, filters go."""
    run(brokers.find_program("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(broker.plain_port),
        "-u", brokers.USER, "-P", brokers.PASSWORD, "-i", CLIENT_ID, "-c", "-q", "2", "-E",
        "-t", "nothing/of/ours", *[word for name in filters for word in ("-U", name)])


def check_delivers(broker, daemon):
    """A message that is published now becomes a row."""
    rows = value(daemon.database, "SELECT count(*) FROM battery")
    broker.publish("foxtrackr/s1/V3.0/bat", fleet.battery("s1", fleet.now_ms()))
    daemon.wait_rows(rows + 1)


def test_unsubscribed_by_somebody_else(broker, daemon):
    """
    Goal: somebody has unsubscribed our client id while the daemon was stopped. The broker still has
    the session, the database remembers the subscription, and messages come again all the same.
    """
    daemon.start()
    check_delivers(broker, daemon)
    daemon.stop()
    register_without(broker, daemon, "foxtrackr/#")

    daemon.start()
    check_delivers(broker, daemon)
    assert daemon.status()["sessions"][0]["session_present"] is True
    daemon.stop()
    assert query(daemon.database, "SELECT * FROM gaps") == []


def test_broker_restored_from_an_older_state(broker, daemon):
    """
    Goal: the broker comes back with a session of ours from before a filter was added. Session
    present is 1, and the filter is subscribed again.
    """
    daemon.configure(session={"filters": "foxtrackr/+/V3.0/gps"})
    daemon.start()
    daemon.stop()
    broker.stop()
    older = (broker.directory / "mosquitto.db").read_bytes()
    broker.start()

    daemon.configure(session={"filters": "foxtrackr/+/V3.0/gps, foxtrackr/+/V3.0/bat"})
    daemon.start()
    check_delivers(broker, daemon)
    broker.stop()
    (broker.directory / "mosquitto.db").write_bytes(older)
    broker.start()
    daemon.wait_status(lambda s: s["sessions"][0]["connects"] == 2
                       and s["sessions"][0]["state"] == "subscribed")
    assert daemon.status()["sessions"][0]["session_present"] is True
    check_delivers(broker, daemon)
    daemon.stop()


def test_another_broker(make_broker, make_daemon):
    """
    Goal: broker.host is moved to another broker, and back. What the first remembers is not taken
    for what the second has: subscriptions work at both, a row in `gaps` says that messages stay at
    the first, and they arrive when the daemon is back there. The way back is noted too: the second
    keeps messages now.
    """
    first, second = make_broker(), make_broker()
    daemon = make_daemon(first)
    daemon.start()
    check_delivers(first, daemon)
    daemon.stop()
    first.publish("foxtrackr/left/V3.0/bat", fleet.battery("left", fleet.now_ms()))

    daemon.configure(broker={"port": second.tls_port})
    check = foxtrackrctl(daemon, "check", check=False).stdout
    assert "another broker" in check
    daemon.start()
    assert "another broker than before" in daemon.wait_log("^err")
    check_delivers(second, daemon)
    assert query(daemon.database, "SELECT reason, last_durable_ms > 0 FROM gaps") \
        == [("broker changed", 1)]
    daemon.stop()
    assert "another broker" not in foxtrackrctl(daemon, "check", check=False).stdout

    daemon.configure(broker={"port": first.tls_port})
    rows = value(daemon.database, "SELECT count(*) FROM battery")
    daemon.start()
    daemon.wait_rows(rows + 1)
    check_delivers(first, daemon)
    daemon.stop()
    assert query(daemon.database, "SELECT reason FROM gaps") == [("broker changed",)] * 2

    daemon.start()
    daemon.stop()
    assert value(daemon.database, "SELECT count(*) FROM gaps") == 2


def test_a_session_that_somebody_else_left(make_broker, make_daemon):
    """
    Goal: the broker that broker.host is moved to has a session with our client id and other filters.
    Ours are subscribed, and the gap is noted: what the first keeps stays there all the same.
    """
    first, second = make_broker(), make_broker()
    daemon = make_daemon(first)
    fleet.register(second, CLIENT_ID, daemon.password_path, filters=("other/#",))
    daemon.start()
    daemon.stop()
    daemon.configure(broker={"port": second.tls_port})
    daemon.start()
    check_delivers(second, daemon)
    daemon.wait_log("does not know from it")
    daemon.stop()
    assert query(daemon.database, "SELECT reason FROM gaps") == [("broker changed",)]


def check_gap(daemon, broker, gaps):
    """There are this many gaps, the log says so, and messages arrive again."""
    wait_until(lambda: value(daemon.database, "SELECT count(*) FROM gaps") == gaps,
               what=f"{gaps} rows in gaps")
    daemon.wait_log("^err.*lost")
    daemon.wait_subscribed()
    rows = value(daemon.database, "SELECT count(*) FROM battery")
    broker.publish("foxtrackr/s1/V3.0/bat", fleet.battery("s1", fleet.now_ms()))
    daemon.wait_rows(rows + 1)
    [(client_id, durable, last, resumed, reason)] = query(daemon.database, """
        SELECT client_id, last_durable_ms, (SELECT max(received_ms) FROM battery
                                             WHERE received_ms < resumed_ms), resumed_ms, reason
          FROM gaps ORDER BY resumed_ms DESC LIMIT 1""")
    assert client_id == CLIENT_ID
    assert last <= durable <= resumed, "the gap does not begin with the last message"
    assert "lost" in reason


def test_session_lost_at_the_broker(broker, daemon):
    """
    Goal: a broker that has forgotten the session is noticed, whether the daemon was away or
    connected: a row in `gaps` with the time of the last durable message, a line in the log, and
    new subscriptions that work.
    """
    daemon.start()
    broker.publish("foxtrackr/s1/V3.0/bat", fleet.battery("s1", fleet.now_ms()))
    daemon.wait_rows(1)
    daemon.stop()
    assert query(daemon.database, "SELECT * FROM gaps") == []

    broker.wipe()
    broker.start()
    daemon.start()
    check_gap(daemon, broker, 1)

    broker.wipe()
    daemon.wait_status(lambda s: s["state"] != "subscribed")
    broker.start()
    check_gap(daemon, broker, 2)
    daemon.stop()

    daemon.start()
    daemon.stop()
    assert value(daemon.database, "SELECT count(*) FROM gaps") == 2


def test_new_database_for_a_session_that_is_there(broker, daemon, make_daemon):
    """
    Goal: a database that was lost or moved away is made anew: the daemon subscribes again, because
    it does not know what the broker holds, and what the broker kept arrives.
    """
    daemon.start()
    daemon.stop()
    manifest = fleet.play(broker, messages=100)
    fresh = make_daemon(broker)
    fresh.start()
    fresh.wait_received(manifest.messages)
    fresh.stop()

    manifest.check(fresh.database)
    assert filters_on_record(fresh) == ["foxtrackr/#"]


NEW = "the broker has a session for this client id, and the database .* is new"


def test_a_disk_that_is_not_mounted(broker, daemon):
    """
    Goal: a database that is begun anew below a mount point, because its disk is not mounted, is not
    begun in silence: the broker has a session, the database has had none, and a warning names the
    database and what to do. With the disk mounted again there is no warning.
    """
    daemon.start()
    daemon.stop()
    assert not re.search(NEW, daemon.log())
    disk = daemon.directory / "disk"
    disk.mkdir()
    for file in daemon.directory.glob(daemon.database.name + "*"):
        file.rename(disk / file.name)

    manifest = fleet.play(broker, messages=20)
    broker.stop()
    daemon.start(wait=None)  # the warning is still due at the start after this one
    daemon.wait_log("Connection refused")
    daemon.stop()
    broker.start()
    daemon.start()
    line = daemon.wait_log(NEW)
    assert line.startswith("warning") and CLIENT_ID in line, line
    assert " DIRECTORY/foxtrackr.db " in line and "mounted" in line and "stop foxtrackrd" in line, line
    [section] = re.findall('see "(.*)" in foxtrackrd\\(8\\)', line)
    page = (ROOT / "daemon/foxtrackrd.8").read_text(encoding="utf-8")
    assert f"\n.Ss {section}\n" in page
    daemon.wait_received(manifest.messages)
    assert foxtrackrctl(daemon, "status").returncode == 0
    daemon.stop()
    assert query(daemon.database, "SELECT * FROM gaps") == []
    daemon.start()
    daemon.stop()
    assert not re.search(NEW, daemon.log())

    for file in daemon.directory.glob(daemon.database.name + "*"):
        file.rename(disk / ("new-" + file.name))
    for file in disk.glob(daemon.database.name + "*"):
        file.rename(daemon.directory / file.name)
    daemon.start()
    daemon.stop()
    assert not re.search("the broker has a session for", daemon.log())


def dynamic_security(path):
    """
    Configuration for mosquitto's dynamic security plugin, in which our user may subscribe to
    foxtrackr/+/V3.0/bat and to nothing else. An acl_file cannot refuse a subscription: mosquitto
    2.0 grants those and then delivers nothing.
    """
    plugins = glob.glob("/usr/lib/*/mosquitto_dynamic_security.so")
    if not plugins:
        pytest.skip("mosquitto's dynamic security plugin is not installed")

    def client(name, password, role):
        salt = b"twelve bytes"
        digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
        return {"username": name, "textname": "", "roles": [{"rolename": role}],
                "password": base64.b64encode(digest).decode(),
                "salt": base64.b64encode(salt).decode(), "iterations": 101}

    def allow(*topics):
        return [{"acltype": "subscribePattern", "topic": topic, "allow": True} for topic in topics]

    path.write_text(json.dumps({
        "defaultACLAccess": {"publishClientSend": True, "publishClientReceive": True,
                             "subscribe": False, "unsubscribe": True},
        "clients": [client(brokers.USER, brokers.PASSWORD, "reader"),
                    client(brokers.PUBLISHER, brokers.PUBLISHER_PASSWORD, "fleet")],
        "roles": [{"rolename": "reader", "acls": allow("foxtrackr/+/V3.0/bat")},
                  {"rolename": "fleet", "acls": allow("#")}],
        "groups": []}))
    return f"plugin {plugins[0]}\nplugin_opt_config_file {path}"


def test_refused_subscription_is_named(make_broker, make_daemon, tmp_path):
    """
    Goal: when the broker refuses one of two filters, log and status name it and the other works.
    """
    broker = make_broker(plugin=dynamic_security(tmp_path / "dynamic-security.json"))
    daemon = make_daemon(broker, session={"filters": "foxtrackr/+/V3.0/bat, foxtrackr/+/V3.0/temp"})
    daemon.start(wait=None)

    assert "foxtrackr/+/V3.0/temp" in daemon.wait_log("refuses the subscription")
    daemon.wait_notified(r"partly subscribed.*foxtrackr/\+/V3\.0/temp")
    status = daemon.wait_status(lambda s: s["sessions"][0]["state"] == "partly subscribed")
    assert [(f["filter"], f["granted_qos"]) for f in status["sessions"][0]["filters"]] \
        == [("foxtrackr/+/V3.0/bat", 2), ("foxtrackr/+/V3.0/temp", None)]
    assert "foxtrackr/+/V3.0/temp" in status["sessions"][0]["last_error"]
    assert status["sessions"][0]["last_error_ms"] >= status["started_ms"]
    now = fleet.now_ms()
    broker.publish("foxtrackr/a1/V3.0/temp", fleet.temperature("a1", now))
    broker.publish("foxtrackr/a1/V3.0/bat", fleet.battery("a1", now))
    daemon.wait_rows(1)
    daemon.stop()

    assert query(daemon.database, "SELECT time_ms FROM battery") == [(now,)]
    assert filters_on_record(daemon) == ["foxtrackr/+/V3.0/bat"]


def test_two_daemons_share_a_subscription(make_broker, make_daemon, protocol):
    """
    Goal: two daemons on one share get every message, each of them once between both, also after the
    broker has restarted and forgotten the share. The start warns of what a share does not promise.
    """
    broker = make_broker()
    both = [make_daemon(broker, broker={"protocol": protocol},
                        session={"given": name, "filters": "$share/fleet/foxtrackr/#"})
            for name in ("one", "two")]
    for daemon in both:
        daemon.start()
        warning = daemon.wait_log(
            r"warning: .*: \$share/fleet/foxtrackr/# is a shared subscription")
        assert ("MQTT 3.1.1 and deliver nothing" in warning) == (protocol == "3.1.1")

    def check_play(count, end_ms):
        before = [count_received(daemon.database) for daemon in both]
        fleet.play(broker, messages=100, garbage=0, other=0, end_ms=end_ms)
        wait_until(lambda: sum(count_received(daemon.database) for daemon in both) == count,
                   what=f"{count} messages")
        assert all(count_received(daemon.database) > received
                   for daemon, received in zip(both, before)), "one of them got nothing"

    now = fleet.now_ms()
    check_play(100, now - 3_600_000 * 24 * 30)
    broker.restart()
    for daemon in both:
        status = daemon.wait_status(lambda now: now["sessions"][0]["connects"] == 2
                                    and now["sessions"][0]["state"] == "subscribed")
        assert status["sessions"][0]["session_present"] is True
    check_play(200, now)
    for daemon in both:
        daemon.stop()
        assert value(daemon.database, "SELECT sum(duplicate + quarantined) FROM runs") == 0
        assert len(re.findall("is a shared subscription", daemon.log())) == 1
        assert query(daemon.database, "SELECT * FROM gaps") == []


def publish_times(broker, times):
    """Publish a reading of one device for each of these times, in one connection."""
    lines = b"\n".join(fleet.battery("s", time_ms).encode() for time_ms in times) + b"\n"
    run(brokers.find_program("mosquitto_pub"), "-h", "127.0.0.1", "-p", broker.plain_port,
        "-u", brokers.PUBLISHER, "-P", brokers.PUBLISHER_PASSWORD, "-t", "foxtrackr/s/V3.0/bat",
        "-q", 2, "-l", input=lines, text=False)


def test_a_daemon_of_a_share_is_killed(broker, make_daemon, protocol):
    """
    Goal: one of two daemons on a share is killed in the middle of a drain. What the broker has given to
    its session waits there; in total every message is one row, of one of the two.
    """
    both = [make_daemon(broker, broker={"protocol": protocol}, database={"batch_max": 10},
                        session={"given": name, "filters": "$share/fleet/foxtrackr/#"})
            for name in ("one", "two")]
    killed = both[0]
    killed.environment = slow_disk(sync_us=5000)
    for daemon in both:
        daemon.start()
    now = fleet.now_ms()
    killed.process.send_signal(signal.SIGSTOP)
    publish_times(broker, range(now, now + 400))
    killed.process.send_signal(signal.SIGCONT)
    wait_until(lambda: count_received(killed.database) >= 20, 60, killed.log_tail, every=0.001)
    killed.kill()
    assert count_received(killed.database) < 200, "it was too fast to be interrupted"
    publish_times(broker, range(now + 400, now + 500))
    killed.start()

    def stored():
        return [time_ms for daemon in both
                for time_ms, in query(daemon.database, "SELECT time_ms FROM battery")]

    wait_until(lambda: len(stored()) >= 500, 60, lambda: f"500 rows, not {len(stored())}")
    for daemon in both:
        daemon.stop()
        check_sound(daemon.database)
        assert query(daemon.database, "SELECT * FROM gaps") == []
    assert sorted(stored()) == list(range(now, now + 500))


def test_a_session_that_is_not_configured_any_more(broker, make_daemon):
    """
    Goal: a changed client id leaves a queue at the broker; log, check and status say so until the
    row is gone, and a client id that is configured again receives what was kept.
    """
    daemon = make_daemon(broker).start()
    daemon.stop()
    assert "not configured any more" not in daemon.log()
    broker.publish("foxtrackr/q/V3.0/bat", fleet.battery("q", fleet.now_ms()))
    daemon.configure(session={"given": "other"})
    daemon.start()
    words = f"{CLIENT_ID}: its session at .* is not configured any more: the broker may go on queuing"
    daemon.wait_log(f"warning: {words}")
    for command in ("check", "status"):
        assert re.search(words, foxtrackrctl(daemon, command, check=False).stdout), command
    unused = json.loads(foxtrackrctl(daemon, "status", "--json").stdout)["sessions_unused"]
    assert [session["client_id"] for session in unused] == [CLIENT_ID]
    daemon.stop()

    daemon.configure(session={"given": "test"})
    daemon.start()
    daemon.wait_rows(1)
    change(daemon.database, "DELETE FROM sessions WHERE client_id <> ?", CLIENT_ID)
    assert json.loads(foxtrackrctl(daemon, "status", "--json").stdout)["sessions_unused"] == []
    daemon.stop()
