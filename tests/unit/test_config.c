/* The configuration: what is accepted, and what each mistake is answered with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <syslog.h>

#include "config_fixture.h"

/* --- what is accepted --- */

static void test_defaults(void **state)
{
    struct config *config = load(BROKER SESSION);

    (void)state;
    assert_string_equal(config->path, path);
    assert_string_equal(config->broker.host, "mqtt.acme.net");
    assert_int_equal(config->broker.port, 8883);
    assert_true(config->broker.tls);
    assert_string_equal(config->broker.ca_file, CONFIG_SYSTEM_BUNDLE);
    assert_null(config->broker.cert_file);
    assert_null(config->broker.key_file);
    assert_null(config->broker.username);
    assert_null(config->broker.password);
    assert_null(config->broker.password_file);
    assert_int_equal(config->broker.keepalive_s, 60);
    assert_int_equal(config->broker.protocol, CONFIG_AUTO);
    assert_int_equal(config->session_count, 1);
    assert_string_equal(config->sessions[0].name, "");
    assert_string_equal(config->sessions[0].client_id, "id-acme-01");
    assert_int_equal(config->sessions[0].filter_count, 1);
    assert_string_equal(config->sessions[0].filters[0], "foxtrackr/#");
    assert_int_equal(config->sessions[0].qos, 2);
    assert_int_equal(config->sessions[0].receive_maximum, 1000);
    assert_int_equal(config->sessions[0].session_expiry_ms, INT64_C(604800000));
    assert_string_equal(config->database.path, "/var/lib/foxtrackrd/foxtrackr.db");
    assert_true(config->database.durability_full);
    assert_int_equal(config->database.busy_timeout_ms, 5000);
    assert_int_equal(config->database.batch_max, 5000);
    assert_int_equal(config->database.retention_days, 0);
    assert_int_equal(config->database.retention_days_battery, 0);
    assert_int_equal(config->database.retention_days_quarantine, 0);
    assert_int_equal(config->database.min_free_mb, 64);
    assert_int_equal(config->parser.max_payload, 256 * 1024);
    assert_int_equal(config->parser.max_future_ms, 86400000);
    assert_false(config->parser.version_slash);
    assert_non_null(config->fields);
    assert_int_equal(config->log.target, CONFIG_LOG_JOURNAL);
    assert_null(config->log.file);
    assert_int_equal(config->log.level, LOG_INFO);
    assert_string_equal(config->status.file, "/run/foxtrackrd/status.json");
    assert_null(config->status.metrics_file);
    assert_int_equal(config->status.interval_ms, 5000);
    config_free(config);
    config_free(NULL);
}

static void test_every_key(void **state)
{
    struct config *config =
        load("\xef\xbb\xbf; a byte order mark, and a comment\r\n"
             "[broker] # the broker\r\nhost: fe80::1\r\nport=1\r\ntls = no\r\nca_file = /a b\r\n"
             "cert_file = /c\nkey_file = /k\nusername = J\xc3\xbcrgen = me\npassword = hunter2=;x\n"
             "keepalive = 65535\n; the longest\nprotocol = 5\n"
             "[session]\nclient_id = anything goes\nfilters = a\nqos = 1\n"
             "receive_maximum = 65535\nsession_expiry = 2147483647s\n"
             "[database]\npath = /d\ndurability = normal\nbusy_timeout = 0\nbatch_max = 1\n"
             "retention_days_battery = 0\nretention_days = 36500\nretention_days_messages = 7\n"
             "rollup_days = 3650\ntime_zone = UTC\nmin_free_mb = 0\n"
             "[parser]\nmax_payload = 1 MiB\nmax_future = 2h\nversion_slash = yes\n"
             "[fields]\nbattery.voltage_v = battery.mv * 0.001\nbattery.voltage_v = battery.v\n"
             "[log]\ntarget = file\nfile = /l\nlevel = debug\n"
             "[status]\nfile = none\nmetrics_file = /m\ninterval = 1m");

    (void)state;
    assert_string_equal(config->broker.host, "fe80::1");
    assert_int_equal(config->broker.port, 1);
    assert_false(config->broker.tls);
    assert_string_equal(config->broker.ca_file, "/a b");
    assert_string_equal(config->broker.cert_file, "/c");
    assert_string_equal(config->broker.key_file, "/k");
    assert_string_equal(config->broker.username, "J\xc3\xbcrgen = me");
    assert_string_equal(config->broker.password, "hunter2=;x");
    assert_int_equal(config->broker.keepalive_s, 65535);
    assert_int_equal(config->broker.protocol, CONFIG_MQTT_5);
    assert_string_equal(config->sessions[0].client_id, "anything goes");
    assert_null(config->sessions[0].given);
    assert_int_equal(config->sessions[0].qos, 1);
    assert_int_equal(config->sessions[0].receive_maximum, 65535);
    assert_int_equal(config->sessions[0].session_expiry_ms, INT64_C(2147483647000));
    assert_string_equal(config->database.path, "/d");
    assert_false(config->database.durability_full);
    assert_int_equal(config->database.busy_timeout_ms, 0);
    assert_int_equal(config->database.batch_max, 1);
    assert_int_equal(config->database.retention_days, 36500);
    assert_int_equal(config->database.retention_days_battery, 0); /* set to 0, not left out */
    assert_int_equal(config->database.retention_days_temperature, 36500);
    assert_int_equal(config->database.retention_days_messages, 7);
    assert_int_equal(config->database.retention_days_quarantine, 0); /* follows nothing */
    assert_int_equal(config->database.rollup_days, 3650);
    assert_string_equal(config->database.time_zone, "UTC");
    assert_int_equal(config->database.min_free_mb, 0);
    assert_int_equal(config->parser.max_payload, 1 << 20);
    assert_int_equal(config->parser.max_future_ms, 7200000);
    assert_true(config->parser.version_slash);
    assert_int_equal(config->log.target, CONFIG_LOG_FILE);
    assert_string_equal(config->log.file, "/l");
    assert_int_equal(config->log.level, LOG_DEBUG);
    assert_null(config->status.file);
    assert_string_equal(config->status.metrics_file, "/m");
    assert_int_equal(config->status.interval_ms, 60000);
    config_free(config);
}

static void test_sessions(void **state)
{
    struct config *config = load(BROKER "[session]\ngiven = acme\n"
                                        "[session north]\ngiven = acme\nnumber = 2\nqos = 1\n");
    char many[4096] = BROKER;
    size_t used = strlen(many);

    (void)state;
    assert_int_equal(config->session_count, 2);
    assert_string_equal(config->sessions[1].name, "north");
    assert_string_equal(config->sessions[1].client_id, "id-acme-2");
    assert_int_equal(config->sessions[0].qos, 2);
    assert_int_equal(config->sessions[1].qos, 1);
    config_free(config);

    for (int i = 1; i <= CONFIG_SESSIONS_MAX; i++) {
        used += (size_t)snprintf(many + used, sizeof(many) - used,
                                 "[session s%d]\ngiven = acme\nnumber = %02d\n", i, i);
    }
    config = load(many);
    assert_int_equal(config->session_count, CONFIG_SESSIONS_MAX);
    config_free(config);
    snprintf(many + used, sizeof(many) - used, "[session one-too-many]\n");
    refuse(many, ":51: more than 16 sessions");
}

/* --- what is refused --- */

static const struct {
    const char *text;
    const char *says;
} refused_lines[] = {
    {"host = x\n", ":1: a key must stand in a section"},
    {"[broker]\nhost\n", ":2: neither a [section], a key = value nor a # comment"},
    /* The first problem counts, also where inih goes on. */
    {"[broker]\npassword hunter2\n[nonsense]\n", ":2: neither a [section]"},
    {"[nonsense]\npassword hunter2\n", ":1: there is no section [nonsense]"},
    {"[brokre]\n", ":1: there is no section [brokre] (did you mean [broker]?)"},
    {"[ broker]\n", "there is no section [ broker] (did you mean [broker]?)"},
    {"[Broker]\n", "did you mean [broker]?"},
    {"[broker\n", ":1: the ] of the section is missing"},
    {"[broker] host = x\n", ":1: nothing may follow a [section] on its line"},
    {"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", "longer than 49"},
    {BROKER SESSION "filters = a\n [database]\n", ":6: a [section] must stand at the begin"},
    {BROKER SESSION "filters = a\n qos = 1\n", ":6: session.filters: an indented line"},
    {BROKER SESSION "filters = a\n #\n", ":6: a # at the beginning of a line is a comment"},
    {BROKER " port = 1\n", ":3: broker.host: an indented line"},
    {BROKER SESSION "[fields]\nbattery.voltage_v = battery.v\n battery.v2\n",
     ":7: fields: remove the indentation"},
    {BROKER BROKER, ":3: section [broker] is there already, on line 1: put the keys there"},
    {BROKER SESSION SESSION, ":5: section [session] is there already, on line 3"},
    {BROKER "[session a]\ngiven = a\n[session a]\n",
     ":5: section [session a] is there already, on line 3"},
    {BROKER "[session a b]\n", ":3: [session a b]: a session's name is"},
    {BROKER "[session ]\n", ":3: [session ]: a session's name is"},
    {BROKER "host = y\n", ":3: broker.host: is there already, on line 2"},
    {BROKER "prot = 1\n", ":3: [broker] has no key prot (did you mean port?)"},
    {BROKER "qos = 1\n", ":3: [broker] has no key qos (that key belongs to [session])"},
    {BROKER "colour = 1\n", ":3: [broker] has no key colour"},
    {BROKER SESSION "[database]\nretention = 1\n", "(did you mean retention_days?)"},
    {BROKER "= 1\n", ":3: there is no key in front of the ="},
    {BROKER "username =\n", ":3: broker.username: has no value"},
    {BROKER "HOST = x\n", "has no key HOST (did you mean host?)"},
    {BROKER "[session.north]\n",
     "there is no section [session.north] (did you mean [session north]?)"},
    {BROKER "[Session north]\n", "(did you mean [session north]?)"},
    {"[broker]\nhost = a\xff\n", ":2: the line is not valid UTF-8"},
    {"[broker]\nhost = a\x1b[1m\n", ":2: the line holds a control character"},
    {"[broker]\nhost = a\rb\n", ":2: the line holds a control character"},
    {"[broker]\nhost = a\r\r\n", ":2: the line holds a control character"},
    {"", "broker.host: is required: set host = in section [broker]"},
    {SESSION, "broker.host: is required"},
    {BROKER, "session: is required"},
};

static void test_lines(void **state)
{
    static const char nul[] = BROKER "\0" SESSION;

    (void)state;
    for (size_t i = 0; i < sizeof(refused_lines) / sizeof(refused_lines[0]); i++) {
        refuse(refused_lines[i].text, refused_lines[i].says);
    }
    refuse_bytes(nul, sizeof(nul) - 1, 0640, ":3: the line holds a NUL byte");
}

static void test_longest_line(void **state)
{
    char longest[300] = BROKER SESSION "[log]\n#";
    size_t start = strlen(longest) - 1;

    (void)state;
    memset(longest + start, '#', 198);
    longest[start + 198] = '\0';
    config_free(load(longest));
    longest[start + 198] = '\n';
    longest[start + 199] = '\0';
    config_free(load(longest));
    longest[start + 198] = '#';
    refuse(longest, ":6: the line is longer than 198 characters");
}

static void test_no_file(void **state)
{
    static struct config_problems problems;
    struct config *config;

    (void)state;
    unlink(path);
    assert_int_equal(config_load(path, &config, &problems), 1);
    assert_non_null(
        strstr(problems.sentences[0], "there is no such file: name another one with -c FILE"));
    assert_int_equal(problems.count, 1);
    assert_int_equal(config_load(directory, &config, &problems), 1);
    assert_non_null(strstr(problems.sentences[0], "cannot be read: Is a directory"));
    assert_int_equal(problems.count, 1);
}

static const struct {
    const char *section; /* what comes before and is right */
    const char *line;
    const char *says;
} refused_values[] = {
    {BROKER, "port = 0", "broker.port: \"0\" is not a whole number from 1 to 65535"},
    {BROKER, "port = 65536", "from 1 to 65535"},
    {BROKER, "port = -1", "from 1 to 65535"},
    {BROKER, "port = 1x", "from 1 to 65535"},
    {BROKER, "port = 99999999999999999999", "from 1 to 65535"},
    {BROKER, "tls = true", "broker.tls: \"true\" is not one of yes, no"},
    {BROKER, "ca_file = ca.pem", "\"ca.pem\" is not an absolute path"},
    {SESSION BROKER, "key_file = /k", ":5: broker.key_file: needs cert_file"},
    {BROKER, "keepalive = 4", "from 5 to 65535"},
    {BROKER, "protocol = both", "broker.protocol: \"both\" is not one of auto, 5, 3.1.1"},
    {BROKER, "protocol = 5.0", "is not one of auto, 5, 3.1.1 (did you mean 5?)"},
    {BROKER, "protocol = 3", "(did you mean 3.1.1?)"},
    {BROKER, "protocol = 311", "(did you mean 3.1.1?)"},
    {BROKER, "protocol = MQTTv5", "(did you mean 5?)"},
    {BROKER, "ca_file = ~/ca.pem",
     "is not an absolute path: it must begin with / (~ and $ are not"},
    {BROKER, "ca_file = /etc/", "is a directory: write the name of a file in it"},
    {BROKER "[session]\n", "given = a/b", ":4: session.given: \"a/b\" is not a name"},
    {BROKER SESSION, "number = 1a", "is not a number of one to four digits"},
    {BROKER SESSION, "number = 12345", "is not a number of one to four digits"},
    {BROKER SESSION, "qos = 3", "from 0 to 2"},
    {BROKER SESSION, "receive_maximum = 0", "from 1 to 65535"},
    {BROKER SESSION, "receive_maximum = 65536", "from 1 to 65535"},
    {BROKER SESSION, "session_expiry = 59s", "out of range: from 1m to 2147483647s"},
    {BROKER SESSION, "session_expiry = 2147483648s", "out of range"},
    {BROKER SESSION, "session_expiry = never", "is not a duration"},
    {BROKER SESSION, "filters = ,", ":5: session: filters lists no topic filter"},
    {BROKER SESSION, "client_id = x",
     ":5: session: client_id is the whole name: leave out "
     "given on line 4"},
    {BROKER "[session]\n", "number = 01", ":3: session: given (or client_id) is required"},
    {BROKER "[session]\nclient_id = x\n", "number = 01", "leave out number on line 5"},
    {BROKER SESSION "[session b]\n", "given = acme",
     ":5: session: client id id-acme-01 is that of the session on line 3 too"},
    {BROKER SESSION "[session b]\ngiven = b\n", "qos = x", "session b.qos: \"x\" is not"},
    {BROKER SESSION "[database]\n", "path = x.db", "is not an absolute path"},
    {BROKER SESSION "[database]\n", "durability = on", "is not one of full, normal"},
    {BROKER SESSION "[database]\n", "busy_timeout = 5", "\"5\" is not a duration: write a num"},
    {BROKER SESSION "[database]\n", "busy_timeout = 5 sec", "is not a duration"},
    {BROKER SESSION "[database]\n", "busy_timeout = s", "is not a duration"},
    {BROKER SESSION "[database]\n", "busy_timeout = 11m", "out of range: from 0 to 10m"},
    {BROKER SESSION "[database]\n", "busy_timeout = 9223372036854775807d", "out of range"},
    /* 384 ms, were it not for the overflow */
    {BROKER SESSION "[database]\n", "busy_timeout = 18446744073709552s", "out of range"},
    {BROKER SESSION "[database]\n", "busy_timeout = -5s", "is not a duration"},
    {BROKER SESSION "[database]\n", "busy_timeout = 1.5s", "is not a duration"},
    {BROKER SESSION "[database]\n", "min_free_mb = 64MiB", "write digits alone, without a unit"},
    {BROKER SESSION "[database]\n", "min_free_mb = +64", "is not a whole number"},
    {BROKER SESSION "[parser]\n", "max_payload = -1", "is not a size"},
    {BROKER SESSION "[parser]\n", "max_payload = 18446744073709551616", "is not a size"},
    {BROKER SESSION "[parser]\n", "max_payload = 9223372036854775807MiB", "out of range"},
    {BROKER SESSION "[database]\n", "batch_max = 0", "from 1 to 1000000"},
    {BROKER SESSION "[database]\n", "retention_days = 36501", "from 0 to 36500"},
    {BROKER SESSION "[database]\n", "rollup_days = -1", "from 0 to 36500"},
    {BROKER SESSION "[database]\n", "time_zone = Europe/Zurick", "is not a time zone"},
    {BROKER SESSION "[database]\n", "time_zone = /etc/localtime", "is not the name of a time zone"},
    {BROKER SESSION "[database]\n", "retention_days_messages = -1", "from 0 to 36500"},
    {BROKER SESSION "[parser]\n", "max_payload = 1KB", "is not a size: write a number and B"},
    {BROKER SESSION "[parser]\n", "max_payload = 1023", "out of range: from 1KiB to 64MiB"},
    {BROKER SESSION "[parser]\n", "max_payload = 65MiB", "out of range"},
    {BROKER SESSION "[parser]\n", "max_future = 3651d", "out of range: from 0 to 3650d"},
    {BROKER SESSION "[fields]\n", "battery.colour = x", ":6: fields.battery.colour: "},
    {BROKER SESSION "[fields]\n", "battery.voltage_v = battery.v *", "fields.battery.voltage_v"},
    {BROKER SESSION "[log]\n", "target = syslog", "is not one of journal, stderr, file"},
    {BROKER SESSION "[log]\n", "target = file", ":6: log.file: is required with target = file"},
    {BROKER SESSION "[log]\n", "file = /x", ":6: log.file: needs target = file"},
    {BROKER SESSION "[log]\n", "level = trace", "is not one of err, warning, notice, info, de"},
    {BROKER SESSION "[status]\n", "file = x", "is not an absolute path"},
    {BROKER SESSION "[status]\n", "interval = 999ms", "out of range: from 1s to 1h"},
    {BROKER SESSION "[status]\n", "interval = 0", "out of range"},
};

static void test_values(void **state)
{
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(refused_values) / sizeof(refused_values[0]); i++) {
        snprintf(text, sizeof(text), "%s%s\n", refused_values[i].section, refused_values[i].line);
        refuse(text, refused_values[i].says);
    }
}

static void test_port_follows_tls(void **state)
{
    struct config *config = load(BROKER "tls = no\n" SESSION);

    (void)state;
    assert_int_equal(config->broker.port, 1883);
    config_free(config);
    config = load(BROKER "port = 8883\ntls = no\n" SESSION);
    assert_int_equal(config->broker.port, 8883);
    config_free(config);
}

/* --- secrets --- */

static void test_password(void **state)
{
    static const char inline_password[] = BROKER "username = me\npassword = hunter2\n" SESSION;
    struct config *config = load(inline_password);

    (void)state;
    assert_string_equal(config->broker.password, "hunter2");
    config_free(config);
    refuse_bytes(inline_password, strlen(inline_password), 0644,
                 ":4: broker.password: everybody can read this file: chmod o-rwx /tmp/");
    refuse(BROKER "password = hunter2\n" SESSION, ":3: broker.username: is required where");
    refuse(BROKER "username = me\npassword = hunter2 ; no\n" SESSION,
           ":4: broker.password: a comment behind a value");
    refuse(BROKER "username = me\npassword = hunter2 # no\n" SESSION, "; or use password_file");
    refuse(BROKER "username = me\npassword = ;hunter2\n" SESSION,
           ":4: broker.password: a comment behind a value");
    refuse(BROKER "username = me\npassword = \"hunter2\"\n" SESSION,
           "begins with a quotation mark");
    refuse(BROKER "username = me\npassword =\n" SESSION, ":4: broker.password: has no value");
    refuse(BROKER "username = me\npassword = hunter2\npassword_file = /x\n" SESSION,
           ":4: broker.password: stands beside password_file on line 5");
    refuse(BROKER "pasword = hunter2\n" SESSION, "has no key pasword (did you mean password?)");
}

static void test_password_file(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *says; /* NULL: the password is hunter2 */
    } files[] = {
        {"hunter2", 7, NULL},
        {"hunter2\n", 8, NULL},
        {"hunter2\r\n", 9, NULL},
        {"", 0, " is empty"},
        {"\n", 1, " is empty"},
        {"hunter2\n\n", 9, " holds more than one line"},
        {"a\0hunter2", 9, " holds a NUL byte"},
        {"\xef\xbb\xbfhunter2\r\n", 12, NULL}, /* with a warning, see below */
        {"\xef\xbb\xbf\n", 4, " holds a byte order mark and no password"},
        {"\xff\xfeh\0u\0", 6, " is UTF-16 with a byte order mark: save it as UTF-8"},
    };
    char text[256];
    char *large = calloc(1, 65537);
    struct config *config;

    (void)state;
    snprintf(text, sizeof(text), BROKER "username = me\npassword_file = %s\n" SESSION, secret_path);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        write_file(secret_path, files[i].bytes, files[i].length, 0640);
        if (files[i].says != NULL) {
            refuse(text, files[i].says);
            continue;
        }
        config = load(text);
        assert_string_equal(config->broker.password, "hunter2");
        assert_string_equal(config->broker.password_file, secret_path);
        config_free(config);
    }
    write_file(secret_path, "hunter2", 7, 0644);
    refuse(text, ":4: broker.password_file: ");
    refuse(text, " can be read by everybody: chmod o-rwx /tmp/");

    assert_non_null(large);
    memset(large, 'x', 65536);
    write_file(secret_path, large, 65535, 0600);
    config = load(text);
    assert_int_equal(strlen(config->broker.password), 65535);
    config_free(config);
    write_file(secret_path, large, 65536, 0600);
    refuse(text, " holds more than 65535 bytes");
    free(large);

    unlink(secret_path);
    refuse(text, "cannot read: No such file or directory; make it: install -m 0640 -g foxtrackrd");
    refuse(BROKER "username = me\npassword_file = /\n" SESSION,
           ":4: broker.password_file: \"/\" is a directory");
}

static void test_credential(void **state)
{
    struct config *config;

    (void)state;
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    unlink(secret_path);
    config = load(BROKER "username = me\n" SESSION);
    assert_null(config->broker.password);
    config_free(config);

    write_file(secret_path, "from systemd\n", 13, 0400);
    config = load(BROKER "username = me\n" SESSION);
    assert_string_equal(config->broker.password, "from systemd");
    assert_null(config->broker.password_file);
    config_free(config);
    config = load(BROKER "username = me\npassword = explicit\n" SESSION);
    assert_string_equal(config->broker.password, "explicit");
    config_free(config);
    refuse(BROKER SESSION, ": broker.username: is required where there is a password");
    write_file(secret_path, "", 0, 0400);
    refuse(BROKER "username = me\n" SESSION, " credential foxtrackrd.password: ");
    unsetenv("CREDENTIALS_DIRECTORY");
}

/* --- reload --- */

static void test_needs_restart(void **state)
{
    static const struct {
        const char *text;
        const char *names;
        int count;
    } cases[] = {
        {BROKER SESSION, "", 0},
        {BROKER "port = 8883\n" SESSION, "", 0},
        {BROKER "port = 1\n" SESSION, "broker.port", 1},
        {BROKER "username = me\npassword = x\n" SESSION "[database]\npath = /x\n",
         "broker.username, broker.password, database.path", 3},
        {BROKER SESSION "number = 02\n", "session.number", 1},
        {BROKER SESSION "filters = foxtrackr/#, b\n", "session.filters", 1},
        {BROKER "[session]\nclient_id = x\n", "session.given, session.client_id", 2},
        {BROKER SESSION "[session b]\ngiven = b\n", "the list of sessions", 1},
        {BROKER "[session b]\ngiven = acme\n", "the list of sessions", 1},
        {BROKER SESSION "[log]\ntarget = stderr\n", "log.target", 1},
        {BROKER SESSION "[status]\nfile = none\n", "status.file", 1},
        /* live, all of them */
        {BROKER SESSION "[database]\nbatch_max = 1\nretention_days = 1\nmin_free_mb = 1\n"
                        "retention_days_battery = 2\nretention_days_quarantine = 3\n"
                        "[parser]\nmax_payload = 1KiB\nmax_future = 0\nversion_slash = yes\n"
                        "[log]\nlevel = debug\n"
                        "[status]\ninterval = 1s\n[fields]\nbattery.voltage_v = a.b\n",
         "", 0},
    };
    struct config *running = load(BROKER SESSION);
    char names[256];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *loaded = load(cases[i].text);

        assert_int_equal(config_needs_restart(running, loaded, names, sizeof(names)),
                         cases[i].count);
        assert_string_equal(names, cases[i].names);
        if (cases[i].count > 0) {
            /* A list that does not fit is cut, and still counted. */
            assert_int_equal(config_needs_restart(running, loaded, names, 5), cases[i].count);
            assert_int_equal(strlen(names), 4);
        }
        config_free(loaded);
    }
    config_free(running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_sessions),     cmocka_unit_test(test_lines),
        cmocka_unit_test(test_longest_line), cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_values),       cmocka_unit_test(test_port_follows_tls),
        cmocka_unit_test(test_password),     cmocka_unit_test(test_password_file),
        cmocka_unit_test(test_credential),   cmocka_unit_test(test_needs_restart),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
