/* Goal: a section [view NAME] becomes a view's name, type and columns, or a sentence that names
 * file, line and key; nothing that could leave its place in SQL is accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config_internal.h"
#include "config_fixture.h"

#define VIEW BROKER SESSION "[view position]\n" /* line 5 */
#define GPS  VIEW "type = gps\n"

static void assert_column(const struct config_view *view, size_t index, const char *name,
                          const char *column_path, const char *factor, double divisor)
{
    const struct config_column *column = &view->columns[index];

    assert_true(index < view->column_count);
    assert_string_equal(column->name, name);
    assert_string_equal(column->path, column_path);
    if (factor == NULL) {
        assert_null(column->factor);
    } else {
        assert_string_equal(column->factor, factor);
        assert_true(column->divisor == divisor);
    }
}

static void a_section_becomes_a_view(void **state)
{
    struct config *config = load(GPS "latitude = gps.lat\n"
                                     "Speed_kmh = gps.o'clock * 3.6\n"
                                     "height_m: gps.alt*0.001\n"
                                     "[log]\nlevel = info\n"
                                     "[view door]\n"
                                     "open = open\n"
                                     "type = Door State\n");
    const struct config_view *view = &config->views->list[0];

    (void)state;
    assert_int_equal(config->views->count, 2);
    assert_int_equal(config->warning_count, 0);
    assert_string_equal(view->name, "position");
    assert_string_equal(view->type, "gps");
    assert_int_equal(view->column_count, 3);
    assert_column(view, 0, "latitude", "gps.lat", NULL, 1);
    assert_column(view, 1, "Speed_kmh", "gps.o'clock", "3.6", 1);
    assert_column(view, 2, "height_m", "gps.alt", "0.001", 1000);
    view++;
    assert_string_equal(view->name, "door");
    assert_string_equal(view->type, "door state"); /* as the daemon stores it */
    assert_column(view, 0, "open", "open", NULL, 1);
    config_free(config);

    config = load(BROKER SESSION);
    assert_int_equal(config->views->count, 0);
    config_free(config);
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {VIEW "latitude = gps.lat\n", ":5: view position: type is required"},
        {GPS, ":5: view position: has no column: write COLUMN = PATH"},
        {GPS "type = fix\n", ":7: view position.type: is there already, on line 6"},
        {GPS "Type = x\n", ":7: view position.Type: write the key type in lower case"},
        {VIEW "type =\n", ":6: view position.type: is the last level of a topic"},
        {VIEW "type = a/b\n", ":6: view position.type: is the last level of a topic"},
        {VIEW "type = +\n", ":6: view position.type: is the last level"},
        {VIEW "type = BAT\n", ":6: view position.type: messages of type bat have a table of their "
                              "own, battery"},
        {VIEW "type = temp\n", "have a table of their own, temperature"},
        {VIEW "type = \"gps\"\n", ":6: view position.type: begins with a quotation mark"},
        {GPS "a = x\n  b = y\n", ":8: view: remove the indentation"},
        {GPS "a = x\nA = y\n", ":8: view position.A: is there already, on line 7"},
        {GPS "device = x\n", ":7: view position.device: every view has that column"},
        {GPS "family = x\n", "every view has that column"},
        {GPS "device_id = x\n", "every view has that column"},
        {GPS "time_ms = x\n", "every view has that column"},
        {GPS "TIME_UTC = x\n", "every view has that column"},
        {GPS "received_ms = x\n", "every view has that column"},
        {GPS "order = x\n", ":7: view position.order: is a word of SQL"},
        {GPS "Select = x\n", ":7: view position.Select: is a word of SQL"},
        {GPS "lat-itude = x\n", ":7: view position.lat-itude: is no name for SQL"},
        {GPS "la titude = x\n", "is no name for SQL"},
        {GPS "1st = x\n", "is no name for SQL"},
        {GPS "h\xc3\xb6he = x\n", "is no name for SQL"},
        {GPS "a\", device AS \"b = x\n", "is no name for SQL"},
        {GPS "a'; DROP TABLE battery; -- = x\n", ":7: "},
        {GPS "a123456789012345678901234567890123456789012345 = x\n", "44 characters at most"},
        {GPS "latitude =\n", ":7: view position.latitude: no path: expected member names"},
        {GPS "latitude = gps..lat\n",
         ":7: view position.latitude: path \"gps..lat\": a member name"},
        {GPS "latitude = gps.\n", "a member name is empty"},
        {GPS "latitude = $.gps.lat\n", "without '$'"},
        {GPS "latitude = gps .lat\n", "blank space beside a dot"},
        {GPS "latitude = gps.lat * x\n",
         ":7: view position.latitude: factor \"x\": expected a number"},
        {GPS "latitude = gps.lat * 0\n", "not zero"},
        {GPS "latitude = gps.lat * 1) FROM battery\n", "expected a number"},
        {GPS "latitude = gps.lat * 0x10\n", "expected a number"},
        {GPS "latitude = gps.la\"t\n", ":7: view position.latitude: a path in a view cannot hold"},
        {GPS "latitude = gps.la\\t\n", "cannot hold a quotation mark or a backslash"},
        {BROKER SESSION "[view]\n", ":5: [view] needs a name: write [view NAME]"},
        {BROKER SESSION "[view ]\n", ":5: [view ]: is no name for SQL"},
        {BROKER SESSION "[view a b]\n", ":5: [view a b]: is no name for SQL"},
        {BROKER SESSION "[view table]\n", ":5: [view table]: is a word of SQL"},
        {BROKER SESSION "[view a\"; DROP TABLE battery]\n", "is no name for SQL"},
        {BROKER SESSION "[view sqlite_x]\n", "SQLite has that name for itself"},
        {BROKER SESSION "[view PRAGMA_x]\n", "SQLite has that name for itself"},
        {BROKER SESSION "[view json_each]\n", "SQLite has that name for itself"},
        {BROKER SESSION "[view Fleet]\n", ":5: [view Fleet]: foxtrackrd has a table or a view of"},
        {BROKER SESSION "[view battery]\n", "of that name itself: choose another one"},
        {BROKER SESSION "[view.position]\n",
         ":5: there is no section [view.position] (did you mean "
         "[view position]?)"},
        {BROKER SESSION "[View position]\n", "(did you mean [view position]?)"},
        {BROKER SESSION "[veiw]\n", "(did you mean [view]?)"},
        {GPS "a = x\n[view Position]\n", ":8: section [view Position] is there already, on line 5"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        refuse(cases[i].text, cases[i].says);
    }
}

/* One mistake is one problem, and all are told. */
static void every_mistake_is_told_once(void **state)
{
    static const char text[] = BROKER SESSION "[view position]\n"
                                              "type = bat\n"
                                              "order = x\n"
                                              "[view 1]\n"
                                              "order = x\n"
                                              "[view door]\n"
                                              "open = a..b\n";
    struct config_problems problems;
    struct config *config = NULL;

    (void)state;
    write_file(path, text, strlen(text), 0640);
    assert_int_equal(config_load(path, &config, &problems), 1);
    assert_int_equal(problems.count, 4);
    assert_non_null(strstr(problems.sentences[0], ":6: view position.type: "));
    assert_non_null(strstr(problems.sentences[1], ":7: view position.order: "));
    assert_non_null(strstr(problems.sentences[2], ":8: [view 1]: "));
    assert_non_null(strstr(problems.sentences[3], ":11: view door.open: "));
}

static void there_are_limits(void **state)
{
    char *text = malloc(65536);
    size_t used;

    (void)state;
    assert_non_null(text);
    used = (size_t)snprintf(text, 65536, "%s", GPS);
    for (int i = 0; i <= CONFIG_COLUMNS_MAX; i++) {
        used += (size_t)snprintf(text + used, 65536 - used, "c%d = x\n", i);
    }
    refuse(text, ":71: view position.c64: more than 64 columns in a view");

    used = (size_t)snprintf(text, 65536, "%s", BROKER SESSION);
    for (int i = 0; i <= CONFIG_VIEWS_MAX; i++) {
        used += (size_t)snprintf(text + used, 65536 - used, "[view v%d]\ntype = a\nb = c\n", i);
    }
    refuse(text, ":101: more than 32 views");
    free(text);
}

static void something_else_may_be_meant(void **state)
{
    struct config *config = load(GPS "height_m = gps.alt / 1000\n");

    (void)state;
    assert_int_equal(config->warning_count, 1);
    assert_non_null(
        strstr(config->warnings[0], ":7: view position.height_m: \"gps.alt / 1000\" is"));
    config_free(config);
}

static void a_change_needs_no_restart(void **state)
{
    struct config *one = load(GPS "latitude = gps.lat\n");
    struct config *other = load(BROKER SESSION);
    char names[64];

    (void)state;
    assert_int_equal(config_needs_restart(one, other, names, sizeof(names)), 0);
    config_free(one);
    config_free(other);
    config_views_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_becomes_a_view),    cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(every_mistake_is_told_once),  cmocka_unit_test(there_are_limits),
        cmocka_unit_test(something_else_may_be_meant), cmocka_unit_test(a_change_needs_no_restart),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
