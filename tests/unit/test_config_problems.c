/*
 * All that is wrong with a configuration is told at once, in the order of the lines, and nothing
 * that only follows from something else; what was meant is suggested; and values that look as if
 * something else was meant are doubted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>

#include "config/config_internal.h"
#include "config_fixture.h"

static struct config_problems problems;

/* Load a text that is wrong in `count` ways. */
static void load_wrong(const char *text, size_t count)
{
    struct config *config = NULL;

    write_file(path, text, strlen(text), 0640);
    if (config_load(path, &config, &problems) != 1) {
        fail_msg("accepted:\n%s", text);
    }
    if (problems.count != count) {
        for (size_t i = 0; i < problems.count && i < CONFIG_PROBLEMS_MAX; i++) {
            print_error("%s\n", problems.sentences[i]);
        }
        fail_msg("%zu problems and not %zu in\n%s", problems.count, count, text);
    }
}

static void assert_problem(size_t index, const char *says)
{
    if (strstr(problems.sentences[index], says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", problems.sentences[index], says);
    }
}

static void test_all_at_once(void **state)
{
    (void)state;
    load_wrong("[broker]\n"
               "hots = broker.acme.net\n"
               "port = mqtt\n"
               "just words\n"
               "[sesion]\n"
               "given = a/b\n"
               "qos = 3\n"
               "filters = a#,\n"
               "  b#\n"
               "[nonsense]\n"
               "hots = x\n"
               "[parser]\n"
               "max_payload = 1KB\n"
               "[log]\n"
               "file = /x\n"
               "[parser]\n"
               "max_payload = 1KiB\n",
               13);
    assert_problem(0, ":2: [broker] has no key hots (did you mean host?)");
    assert_problem(1, ":3: broker.port: ");
    assert_problem(2, ":4: neither a [section]");
    assert_problem(3, ":5: there is no section [sesion] (did you mean [session]?)");
    assert_problem(4, ":6: session.given: ");
    assert_problem(5, ":7: session.qos: ");
    assert_problem(6, ":8: session.filters: ");
    assert_problem(7, ":9: session.filters: ");
    assert_problem(8, ":10: there is no section [nonsense]; there are [broker], [session], [datab");
    assert_problem(9, ":13: parser.max_payload: ");
    assert_problem(10, ":15: log.file: needs target = file");
    assert_problem(11, ":16: section [parser] is there already, on line 12");
    assert_problem(12, ":17: parser.max_payload: is there already, on line 13");
}

/* One mistake is one problem, whatever would follow from it. */
static void test_no_consequences(void **state)
{
    static const char *const wrong[] = {
        "[broker]\nhots = x\n" SESSION,
        "[broker]\nhost = x y\n" SESSION,
        "[brokr]\nhost = x\n" SESSION,
        "[broker\nhost = x\n" SESSION,
        "[broker] host\nhost = x\n" SESSION,
        BROKER "[session]\ngivn = acme\n",
        BROKER "[session]\ngiven = a/b\n",
        BROKER "[session]\nclient = x\n",
        BROKER "[session a b]\ngiven = acme\n",
        BROKER "[Session north]\ngiven = acme\n",
        BROKER "[session.north]\ngiven = acme\n",
        BROKER SESSION "filters = a#\n",
        BROKER SESSION "fitlers = a,\n  b,\n  c\n",
        BROKER SESSION "[session b]\ngiven = acme\nnubmer = 02\n",
        BROKER SESSION "[session b]\ngiven = acme\nnumber = zwei\n",
        BROKER "usrname = me\npassword = hunter2\n" SESSION,
        BROKER "username = \"me\"\npassword = hunter2\n" SESSION,
        BROKER "password = \"hunter2\"\n" SESSION,
        BROKER "cret_file = /c\nkey_file = /k\n" SESSION,
        BROKER "cert_file = c\nkey_file = /k\n" SESSION,
        BROKER SESSION "[log]\ntarget = datei\nfile = /l\n",
        BROKER SESSION "[log]\ntarget = file\nfile = l\n",
        BROKER SESSION "[mqtt]\nhost = x\nport = 1\n  qos = 3\n",
        BROKER SESSION "words alone\n  and what goes on\n",
        BROKER SESSION "filters = a\nwords alone\n  b#\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        load_wrong(wrong[i], 1);
    }
}

static size_t told;
static char last_told[CONFIG_PROBLEM_SIZE];

static void count_told(const char *sentence)
{
    told++;
    snprintf(last_told, sizeof(last_told), "%s", sentence);
}

/* The first ones by line are kept, also where those of later lines were noted before. */
static void test_limit(void **state)
{
    char text[2048] = BROKER "key_file = /k\n" SESSION "[parser]\n";
    size_t used = strlen(text);

    (void)state;
    for (int i = 0; i < 30; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "colour%d = x\n", i);
    }
    load_wrong(text, 31);
    assert_problem(0, ":3: broker.key_file: needs cert_file");
    assert_problem(1, ":7: [parser] has no key colour0; it has max_payload, max_future");
    assert_problem(19, ":25: ");
    told = 0;
    config_problems_tell(&problems, path, count_told);
    assert_int_equal(told, CONFIG_PROBLEMS_MAX + 1);
    assert_non_null(strstr(last_told, "conf: and 11 more problems"));

    load_wrong("[colour]\n" BROKER SESSION "[parser]\n= 1\n", 2);
    told = 0;
    config_problems_tell(&problems, path, count_told);
    assert_int_equal(told, 2);
}

static void test_limit_of_one(void **state)
{
    char text[2048] = BROKER SESSION "[parser]\n";
    size_t used = strlen(text);

    (void)state;
    for (int i = 0; i <= CONFIG_PROBLEMS_MAX; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "colour%d = x\n", i);
    }
    load_wrong(text, CONFIG_PROBLEMS_MAX + 1);
    config_problems_tell(&problems, path, count_told);
    assert_non_null(strstr(last_told, "conf: and 1 more problem"));
    assert_null(strstr(last_told, "problems"));
}

/* --- suggestions --- */

/* Load a file with this key in this section, and look for what is suggested. */
static void assert_suggested(const char *section, const char *wrong, const char *meant)
{
    char text[512];
    char says[128];

    snprintf(text, sizeof(text), SESSION "[%s%s]\n%s = 1\n", section,
             strcmp(section, "session") == 0 ? " b" : "", wrong);
    write_file(path, text, strlen(text), 0640);
    assert_int_equal(config_load(path, &(struct config *){NULL}, &problems), 1);
    snprintf(says, sizeof(says), ":4: [%s] has no key %s (did you mean %s?)", section, wrong,
             meant);
    assert_problem(strstr(problems.sentences[0], ":3: ") != NULL ? 1 : 0, says);
}

/* Every key of every section, with each of its characters missing, doubled, wrong, or in the place
 * of its neighbour. */
static void test_every_mistyped_key(void **state)
{
    (void)state;
    for (size_t i = 0; config_key_name(i) != NULL; i++) {
        const char *full = config_key_name(i);
        const char *name = strchr(full, '.') + 1;
        size_t length = strlen(name);
        char section[32];
        char wrong[64];

        snprintf(section, sizeof(section), "%.*s", (int)(name - full - 1), full);
        for (size_t at = 0; at < length; at++) {
            snprintf(wrong, sizeof(wrong), "%.*s%s", (int)at, name, name + at + 1);
            assert_suggested(section, wrong, name);
            snprintf(wrong, sizeof(wrong), "%.*s%s", (int)at + 1, name, name + at);
            assert_suggested(section, wrong, name);
            snprintf(wrong, sizeof(wrong), "%s", name);
            wrong[at] = '7';
            assert_suggested(section, wrong, name);
            if (at + 1 < length && name[at] != name[at + 1]) {
                snprintf(wrong, sizeof(wrong), "%s", name);
                wrong[at] = name[at + 1];
                wrong[at + 1] = name[at];
                assert_suggested(section, wrong, name);
            }
        }
        snprintf(wrong, sizeof(wrong), "%s", name);
        wrong[0] = (char)toupper((unsigned char)wrong[0]);
        assert_suggested(section, wrong, name);
    }
}

static void test_hints(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {BROKER "qos = 1\n", "[broker] has no key qos (that key belongs to [session])"},
        {BROKER "level = 1\n", "(that key belongs to [log])"},
        {BROKER "file = 1\n", "(that key belongs to [log] and [status])"},
        {BROKER "max_paylod = 1\n", "(did you mean max_payload in [parser]?)"},
        {BROKER "client-id = 1\n", "(did you mean client_id in [session]?)"},
        {BROKER "passwordfile = 1\n", "(did you mean password_file?)"},
        {BROKER SESSION "colour = 1\n", "; it has given, number, client_id, filters, qos"},
        {"max_payload = 1\n", ":1: a key must stand in a section: write [parser] above it"},
        {"colour = 1\n", ":1: a key must stand in a section: write [broker] above it"},
        {"[databse]\n", "there is no section [databse] (did you mean [database]?)"},
        {"[statsu]\n", "(did you mean [status]?)"},
        {"[lgo]\n", "(did you mean [log]?)"},
        {"[field]\n", "(did you mean [fields]?)"},
        {"[mqtt]\n", "; there are [broker], [session], [database], [parser], [fields], [log], [st"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        refuse(cases[i].text, cases[i].says);
    }
}

/* --- doubts --- */

static void test_doubts(void **state)
{
    static const struct {
        const char *text;
        const char *says; /* NULL: nothing */
    } cases[] = {
        {BROKER SESSION, NULL},
        {BROKER "[session]\ngiven = id-acme\n",
         ":4: session.given: the client id is id-id-acme-01: write given without id- in front"},
        {BROKER "[session]\ngiven = acme-01\n",
         ":4: session.given: the client id is id-acme-01-01: write given without the number"},
        {BROKER "[session]\ngiven = acme-02\n", NULL},
        {BROKER "[session]\ngiven = idaho\n", NULL},
        {BROKER "[session]\nclient_id = id-acme-01\n", NULL},
        {BROKER "[session a]\nclient_id = ID-id-acme-01\n",
         ":4: session a.client_id: the client id is ID-id-acme-01, which begins with id- twice"},
        {BROKER "[session]\ngiven = CHANGE_ME\n",
         ":4: session.given: \"CHANGE_ME\" reads like a pl"},
        {BROKER "[session]\ngiven = your-name\n", "reads like a placeholder: write your own value"},
        {BROKER "[session]\ngiven = example\n", "reads like a placeholder"},
        {BROKER "[session]\ngiven = example-farm\n", NULL},
        {BROKER "username = <user>\n" SESSION, ":3: broker.username: \"<user>\" reads like"},
        {BROKER "username = reader\"\n" SESSION, ":3: broker.username: ends with a quotation mark"},
        {BROKER "username = changeme\n" SESSION, "reads like a placeholder"},
        {"[broker]\nhost = mqtt.example.com\n" SESSION, ":2: broker.host: \"mqtt.example.com\" re"},
        {"[broker]\nhost = mqtt.Example\n" SESSION, "reads like a placeholder"},
        {"[broker]\nhost = notexample.com\n" SESSION, NULL},
        {"[broker]\nhost = example.acme.net\n" SESSION, NULL},
        {"[broker]\nhost = your-broker\n" SESSION, "reads like a placeholder"},
        {BROKER SESSION "filters = foxtrackr/#, /foxtrackr/#\n",
         ":5: session.filters: \"/foxtrackr/#\" begins with a /, and no topic of a tracker does"},
        {BROKER SESSION "filters = $share/foxtrackr/#\n",
         ":5: session.filters: \"$share/foxtrackr/#\" shares the topics # under the name "
         "foxtrackr: "
         "did you mean $share/NAME/foxtrackr/#?"},
        {BROKER SESSION "filters = $share/Foxtrackr/+/V3.0/bat\n",
         "did you mean $share/NAME/foxtrackr/+/V3.0/bat?"},
        {BROKER SESSION "filters = $share/foxtrackr/foxtrackr/#, $share/herd/#\n", NULL},
        {BROKER SESSION "[database]\nrollup_days = 10\nretention_days = 30\n",
         ":6: database.rollup_days: has no effect: it is not longer than retention_days"},
        {BROKER SESSION "[database]\nrollup_days = 10\n",
         ":6: database.rollup_days: has no effect: without retention_days every reading is kept"},
        {BROKER SESSION "[database]\nrollup_days = 10\nretention_days = 30\n"
                        "retention_days_battery = 9\n",
         NULL},
        {BROKER SESSION "[database]\nrollup_days = 0\nretention_days = 30\n", NULL},
        {BROKER SESSION "qos = 0\n", ":5: session.qos: with QoS 0 the broker keeps nothing"},
        {BROKER SESSION "qos = 1\n", NULL},
        {BROKER "[session]\ngiven = acme\nnumber = 1\n",
         ":5: session.number: the client id is id-acme-1, another queue than id-acme-01"},
        {BROKER "[session]\ngiven = acme\nnumber = 001\n", NULL},
        {BROKER "protocol = 3.1.1\n" SESSION "receive_maximum = 200\n",
         ":6: session.receive_maximum: has no effect with broker.protocol = 3.1.1"},
        {BROKER "protocol = 3.1.1\n" SESSION "session_expiry = 7d\n",
         ":6: session.session_expiry: has no effect with"},
        {BROKER SESSION "receive_maximum = 200\nsession_expiry = 7d\n", NULL},
        {BROKER "protocol = 5\n" SESSION "receive_maximum = 20\nsession_expiry = 1d\n", NULL},
        {BROKER "protocol = auto\n" SESSION "receive_maximum = 10000\n", NULL},
        {BROKER "protocol = auto\n" SESSION "receive_maximum = 19\n",
         ":6: session.receive_maximum: is smaller than the window that brokers choose"},
        {BROKER "protocol = 5\n" SESSION "receive_maximum = 10001\n", "is more than is of use"},
        {BROKER "protocol = 5\n" SESSION "session_expiry = 86399s\n",
         ":6: session.session_expiry: is less than a day"},
        {BROKER SESSION "[fields]\nbattery.voltage_v = battery.akkuMv / 1000\n",
         ":6: fields.battery.voltage_v: \"battery.akkuMv / 1000\" is taken for the name of a "
         "member"},
        {BROKER SESSION "[fields]\nbattery.voltage_v = battery.akkuMv x 0.001\n",
         "a factor is written behind a *, such as * 0.001, and there is no division"},
        {BROKER SESSION "[fields]\nbattery.voltage_v = battery.akkuMv * 0.001\n", NULL},
        {BROKER SESSION "[fields]\nbattery.voltage_v = battery.akkuMv\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *config = load(cases[i].text);

        assert_int_equal(config->warning_count, cases[i].says != NULL);
        if (cases[i].says != NULL && strstr(config->warnings[0], cases[i].says) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", config->warnings[0], cases[i].says);
        }
        config_free(config);
    }
}

/* A password that is a placeholder is doubted without being shown. */
static void test_doubted_password(void **state)
{
    struct config *config = load(BROKER "username = me\npassword = CHANGE_ME\n" SESSION);

    (void)state;
    assert_int_equal(config->warning_count, 1);
    assert_non_null(
        strstr(config->warnings[0], ":4: broker.password: the password reads like a placeholder"));
    assert_null(strstr(config->warnings[0], "CHANGE_ME"));
    assert_true(config->broker.password_inline);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_no_consequences),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_limit_of_one),
        cmocka_unit_test(test_every_mistyped_key),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_doubts),
        cmocka_unit_test(test_doubted_password),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
