/*
 * The database's keys: which engine, its URI and password, what belongs to the other engine, and
 * when a daemon may wait as a standby. No refusal tells a password.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_fixture.h"

#define PG(keys)  BROKER SESSION "[database]\nengine = postgresql\n" keys
#define URI(uri)  PG("uri = " uri "\n")
#define LITE(key) BROKER SESSION "[database]\n" key "\n"

static void sqlite_is_the_default(void **state)
{
    struct config *config = load(BROKER SESSION);

    (void)state;
    assert_int_equal(config->database.engine, CONFIG_SQLITE);
    assert_string_equal(config->database.path, "/var/lib/foxtrackrd/foxtrackr.db");
    assert_null(config->database.uri);
    assert_null(config->database.password);
    assert_false(config->sessions[0].standby);
    config_free(config);
}

/* The name for people takes the place of the path. */
static void assert_shown(const char *text, const char *shown, const char *warning)
{
    struct config *config = load(text);

    assert_int_equal(config->database.engine, CONFIG_POSTGRESQL);
    assert_string_equal(config->database.path, shown);
    assert_int_equal(config->warning_count, warning != NULL ? 1 : 0);
    if (warning != NULL) {
        assert_non_null(strstr(config->warnings[0], warning));
    }
    config_free(config);
}

static void uris_are_taken(void **state)
{
    (void)state;
    assert_shown(URI("postgresql:///fleet"), "localhost/fleet", NULL);
    assert_shown(URI("postgresql://me@%2Fvar%2Frun%2Fpostgresql/fleet"),
                 "/var/run/postgresql/fleet", NULL);
    assert_shown(URI("postgres:///?host=/run/pg&dbname=fleet"), "/run/pg/fleet", NULL);
    assert_shown(URI("postgresql://me@db1.acme.net,db2.acme.net:5433/fleet?sslmode=verify-full"),
                 "db1.acme.net,db2.acme.net:5433/fleet", NULL);
    assert_shown(URI("postgresql://db.acme.net/fleet"), "db.acme.net/fleet",
                 ":7: database.uri: with sslmode=prefer the server does not have to prove");
    assert_shown(URI("postgresql://127.0.0.1/fleet?sslmode=require"), "127.0.0.1/fleet",
                 "with sslmode=require");
    assert_shown(URI("postgresql://%2Frun,db2.acme.net/f"), "/run,db2.acme.net/f",
                 "sslmode=prefer");
    /* What libpq meets last counts, however it is written. */
    assert_shown(URI("postgresql://%2Frun/f?host=db&dbname=g"), "db/g", "sslmode=prefer");
    assert_shown(URI("postgresql://%2Frun/f?hostaddr=10.0.0.1"), "/run/f", "sslmode=prefer");
    assert_shown(URI("postgresql:///f?hostaddr=10.0.0.1"), "10.0.0.1/f", "sslmode=prefer");
    assert_shown(URI("postgresql://db/f?sslmode=verify-full&ssl=true"), "db/f", "sslmode=require");
    assert_shown(URI("postgresql://db/f?sslmod%65=disable"), "db/f", "sslmode=disable");
    assert_shown(URI("postgresql://u?s@[::1]:5433,db:/f?sslmode=verify-full"), "[::1]:5433,db:/f",
                 NULL);
    assert_shown(URI("postgresql://%40abstract?port=1,,2"), "@abstract/", NULL);
}

static void uris_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"db.acme.net", ":7: database.uri: is not the URI of a database of PostgreSQL: write"},
        {"mysql://db/fleet", "is not the URI of a database of PostgreSQL"},
        {"host=db dbname=fleet", "is not the URI of a database of PostgreSQL"},
        {"postgresql://me:hush-hush@db/fleet", "holds a password, which others see"},
        {"postgresql://me@db/fleet?password=hush-hush", "holds a password"},
        {"postgresql:///fleet?sslpassword=hush-hush", "holds a password"},
        {"postgresql://me:hush-hush%zz@db/fleet", "holds a password"},
        {"postgresql://db%zz/fleet", "is not written as in a URI"},
        {"postgresql:///fleet?hush-hush", "is not written as in a URI"},
        {"postgresql:///fleet?sslmode=%1", "is not written as in a URI"},
        /* A password wherever libpq takes one from, or people put one. */
        {"postgresql://me:hush-hush?x@db/fleet", "holds a password"},
        {"postgresql://me:hush-hush?@[::1/fleet", "holds a password"},
        {"postgresql://db/fleet?p%61ssword=hush-hush", "holds a password"},
        {"postgresql://me:hush/hush@db/fleet", "is not written as in a URI"},
        {"postgresql://me:/hush-hush@db/fleet", "is not written as in a URI"},
        {"postgresql://me:12345/hush-hush@db/fleet", "is not written as in a URI"},
        {"postgresql://me@[::1/fleet?p%61ssword=hush-hush", "is not written as in a URI"},
        {"postgresql://me:hush-hush", "has a port that is no number from 1 to 65535"},
        {"postgresql://db:0/fleet", "has a port that"},
        {"postgresql://db:1,db:65536/fleet", "has a port that"},
        {"postgresql://db/fleet?port=1,x", "has a port that"},
        {"postgresql://db/fleet?port=1,2%203", "has a port that"},
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_problems problems;
        struct config *config = NULL;

        snprintf(text, sizeof(text), PG("uri = %s\n"), cases[i][0]);
        write_file(path, text, strlen(text), 0640);
        assert_int_equal(config_load(path, &config, &problems), 1);
        assert_int_equal(problems.count, 1);
        if (strstr(problems.sentences[0], cases[i][1]) == NULL ||
            strstr(problems.sentences[0], "hush") != NULL) {
            fail_msg("%s of %s", problems.sentences[0], cases[i][0]);
        }
    }
}

static void keys_of_the_other_engine_are_refused(void **state)
{
    (void)state;
    refuse(PG(""), ":6: database.uri: is required with engine = postgresql, such as postgresql://");
    refuse(URI("postgresql:///f") "path = /tmp/a.db\n", ":8: database.path: is the file of SQLite");
    refuse(URI("postgresql:///f") "rollup_days = 9\n", ":8: database.rollup_days: is for SQLite");
    refuse(URI("postgresql:///f") "min_free_mb = 9\n", ":8: database.min_free_mb: is for SQLite");
    refuse(LITE("uri = postgresql:///f"), ":6: database.uri: needs engine = postgresql");
    refuse(LITE("password_file = /x"), ":6: database.password_file: needs engine = postgresql");
    refuse(LITE("engine = postgres"), ":6: database.engine: ");
    refuse(URI("postgresql:///f") "answer_timeout = 9s\n", ":8: database.answer_timeout: ");
    /* The rest of the file is checked, and these keys are allowed. */
    config_free(load(URI("postgresql:///f") "busy_timeout = 1s\nretention_days = 9\n"));
}

static void the_password_is_read(void **state)
{
    struct config *config;
    char text[512];

    (void)state;
    snprintf(text, sizeof(text), URI("postgresql:///f") "password_file = %s\n", secret_path);
    write_file(secret_path, "hush-hush\n", 10, 0640);
    config = load(text);
    assert_string_equal(config->database.password, "hush-hush");
    config_free(config);
    unlink(secret_path);
    refuse(text, ":8: database.password_file: ");

    /* The credential, where no key names a file. */
    write_file(secret_path, "of systemd", 10, 0600);
    snprintf(text, sizeof(text), "%s/foxtrackrd.postgresql", directory);
    assert_int_equal(rename(secret_path, text), 0);
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    config = load(URI("postgresql:///f"));
    assert_string_equal(config->database.password, "of systemd");
    config_free(config);
    config = load(BROKER SESSION);
    assert_null(config->database.password);
    config_free(config);
    unlink(text);
    assert_int_equal(mkfifo(text, 0600), 0); /* nobody writes into it */
    refuse(URI("postgresql:///f"), "credential foxtrackrd.postgresql: ");
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink(text);
}

static void a_standby_needs_a_server(void **state)
{
    struct config *config =
        load(BROKER SESSION "standby = yes\n[session b]\ngiven = b\nstandby = yes\n"
                            "[database]\nengine = postgresql\nuri = postgresql:///f\n");

    (void)state;
    assert_true(config->sessions[0].standby && config->sessions[1].standby);
    config_free(config);
    refuse(BROKER SESSION "standby = yes\n", ":5: session.standby: needs engine = postgresql");
    refuse(BROKER SESSION "standby = yes\n[session b]\ngiven = b\n"
                          "[database]\nengine = postgresql\nuri = postgresql:///f\n",
           ":6: session.standby: differs from that of the first session");
}

static void a_change_needs_a_restart(void **state)
{
    struct config *one = load(URI("postgresql:///f"));
    struct config *other = load(URI("postgresql:///g"));
    char names[256];

    (void)state;
    assert_int_equal(config_needs_restart(one, other, names, sizeof(names)), 1);
    assert_string_equal(names, "database.uri");
    config_free(other);
    other = load(BROKER SESSION);
    assert_true(config_needs_restart(one, other, names, sizeof(names)) >= 2);
    assert_non_null(strstr(names, "database.engine"));
    config_free(other);
    config_free(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sqlite_is_the_default),
        cmocka_unit_test(uris_are_taken),
        cmocka_unit_test(uris_are_refused),
        cmocka_unit_test(keys_of_the_other_engine_are_refused),
        cmocka_unit_test(the_password_is_read),
        cmocka_unit_test(a_standby_needs_a_server),
        cmocka_unit_test(a_change_needs_a_restart),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
