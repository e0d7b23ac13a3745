/* The shipped file and the manual page tell the truth about keys and defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config_internal.h"
#include "config_fixture.h"

#define KEYS_MAX 64

struct documented {
    char names[KEYS_MAX][64]; /* "broker.host" */
    char values[KEYS_MAX][64];
    size_t count;
};

static FILE *open_document(const char *name)
{
    const char *root = getenv("FOXTRACKR_ROOT");
    char file_path[4096];
    FILE *file;

    snprintf(file_path, sizeof(file_path), "%s/%s", root != NULL ? root : ".", name);
    file = fopen(file_path, "r");
    if (file == NULL) {
        fail_msg("%s cannot be opened (FOXTRACKR_ROOT is the source directory)", file_path);
    }
    return file;
}

static void add_documented(struct documented *keys, const char *section, const char *name,
                           const char *value)
{
    assert_true(keys->count < KEYS_MAX);
    snprintf(keys->names[keys->count], sizeof(keys->names[0]), "%s.%s", section, name);
    snprintf(keys->values[keys->count], sizeof(keys->values[0]), "%s", value);
    keys->count++;
}

/* "#key = default" below "[section]". */
static void read_conf(struct documented *keys)
{
    FILE *file = open_document("foxtrackrd.conf");
    char line[256];
    char section[32] = "";
    char name[64];

    while (fgets(line, sizeof(line), file) != NULL) {
        char value[128] = "";

        if (line[0] == '[') {
            sscanf(line, "[%31[^]]", section);
        } else if (sscanf(line, "#%63[a-z_] = %127s", name, value) >= 1 &&
                   strstr(line, " =") == line + 1 + strlen(name)) {
            add_documented(keys, section, name, value);
        }
    }
    fclose(file);
}

/* ".It Cm key No = Ar default" below ".Ss [section] section". */
static void read_manual(struct documented *keys)
{
    FILE *file = open_document("daemon/foxtrackrd.conf.5");
    char line[256];
    char section[32] = "";
    char name[64];

    while (fgets(line, sizeof(line), file) != NULL) {
        char value[128] = "";

        if (sscanf(line, ".Ss [%31[^]]", section) == 1) {
            continue;
        }
        if (sscanf(line, ".It Cm %63s No = Ar %127s", name, value) >= 1) {
            add_documented(keys, section, name, value);
        }
    }
    fclose(file);
}

static void assert_documents(const struct documented *keys, const char *where)
{
    size_t index = 0;

    for (; config_key_name(index) != NULL; index++) {
        size_t at = 0;
        size_t found = 0;

        for (size_t i = 0; i < keys->count; i++) {
            if (strcmp(keys->names[i], config_key_name(index)) == 0) {
                at = i;
                found++;
            }
        }
        if (found != 1) {
            fail_msg("%s names %s %zu times", where, config_key_name(index), found);
        }
        if (strcmp(keys->values[at], config_key_default(index)) != 0) {
            fail_msg("%s says %s = %s, and it is %s", where, keys->names[at], keys->values[at],
                     config_key_default(index));
        }
    }
    if (keys->count != index) {
        fail_msg("%s documents %zu keys, and there are %zu", where, keys->count, index);
    }
    assert_null(config_key_default(index));
    assert_false(config_key_is_live(index));
}

static void test_documents(void **state)
{
    struct documented conf = {.count = 0};
    struct documented manual = {.count = 0};

    (void)state;
    read_conf(&conf);
    assert_documents(&conf, "foxtrackrd.conf");
    read_manual(&manual);
    assert_documents(&manual, "foxtrackrd.conf.5");
}

/* The shipped file with each default uncommented, and the values that must be set, is the same as
 * no more than those values. */
static void test_shipped_file(void **state)
{
    FILE *file = open_document("foxtrackrd.conf");
    char text[32768] = "";
    size_t used = 0;
    char line[256];
    struct config *shipped;
    struct config *minimal;
    char names[256];

    (void)state;
    while (fgets(line, sizeof(line), file) != NULL) {
        char name[64];
        char value[128];
        const char *start = line;

        if (strcmp(line, "#host =\n") == 0) {
            start = "host = mqtt.acme.net\n";
        } else if (strcmp(line, "#given =\n") == 0) {
            start = "given = acme\n";
        } else if (line[0] == '#' && sscanf(line, "#%63[a-z_] = %127s", name, value) == 2) {
            start = line + 1;
        }
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", start);
        assert_true(used < sizeof(text) - 256);
    }
    fclose(file);
    shipped = load(text);
    minimal = load(BROKER SESSION);
    assert_int_equal(config_needs_restart(minimal, shipped, names, sizeof(names)), 0);
    assert_int_equal(shipped->database.batch_max, minimal->database.batch_max);
    assert_int_equal(shipped->database.retention_days, minimal->database.retention_days);
    assert_int_equal(shipped->database.min_free_mb, minimal->database.min_free_mb);
    assert_int_equal(shipped->parser.max_payload, minimal->parser.max_payload);
    assert_int_equal(shipped->parser.max_future_ms, minimal->parser.max_future_ms);
    assert_int_equal(shipped->log.level, minimal->log.level);
    assert_int_equal(shipped->status.interval_ms, minimal->status.interval_ms);
    config_free(shipped);
    config_free(minimal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_shipped_file),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
