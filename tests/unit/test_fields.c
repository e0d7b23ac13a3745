/* The mapping table on its own: what foxtrackr_fields_add() takes and refuses, and who wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

#define ENVELOPE "{\"messageType\":1,\"deviceId\":\"1\",\"version\":3,\"timeMs\":1767225000000"

static struct foxtrackr_fields *fields;

static int setup(void **state)
{
    (void)state;
    return foxtrackr_fields_new(&fields);
}

static int teardown(void **state)
{
    (void)state;
    foxtrackr_fields_free(fields);
    return 0;
}

static void add(const char *column, const char *source)
{
    struct foxtrackr_problem problem;
    int result = foxtrackr_fields_add(fields, column, source, &problem);

    if (result) {
        fail_msg("%s = %s: %s", column, source, problem.detail);
    }
}

static void parse(const char *rest, struct foxtrackr_message *out)
{
    static const char topic[] = "f/1/V3/bat";
    struct foxtrackr_problem problem;
    char payload[512];

    snprintf(payload, sizeof(payload), "%s,%s}", ENVELOPE, rest);
    if (foxtrackr_message_parse(fields, INT64_C(1767225000000), 0, topic, strlen(topic), payload,
                                strlen(payload), out, &problem)) {
        fail_msg("%s", problem.detail);
    }
}

static double voltage(const char *rest)
{
    struct foxtrackr_message message;
    double value;

    parse(rest, &message);
    value = message.voltage_v;
    foxtrackr_message_clear(&message);
    return value;
}

static const struct {
    const char *column;
    const char *source;
    const char *detail;
} refused[] = {
    {"", "battery.x", "unknown column \"\""},
    {"battery.voltage", "battery.x", "battery.voltage_v, battery.level_pct or temperature"},
    {"battery", "battery.x", "unknown column \"battery\""},
    {"voltage_v", "battery.x", "unknown column \"voltage_v\""},
    {"Battery.voltage_v", "battery.x", "unknown column"},
    {" battery.voltage_v", "battery.x", "unknown column"},
    {"battery.voltage_v\n\xFF", "battery.x", "unknown column \"battery.voltage_v??\""},
    {"battery.voltage_v", "", "no path"},
    {"battery.voltage_v", " \t", "no path"},
    {"battery.voltage_v", "* 2", "no path"},
    {"battery.voltage_v", ".", "member name is empty"},
    {"battery.voltage_v", ".x", "member name is empty"},
    {"battery.voltage_v", "x.", "member name is empty"},
    {"battery.voltage_v", "battery..x", "member name is empty"},
    {"battery.voltage_v", "battery .x", "blank space"},
    {"battery.voltage_v", "battery. x", "blank space"},
    {"battery.voltage_v", "$.battery.x", "without '$'"},
    {"battery.voltage_v", "battery.\xC3(", "not UTF-8"},
    {"battery.voltage_v", "battery.x *", "factor \"\""},
    {"battery.voltage_v", "battery.x * ", "factor \"\""},
    {"battery.voltage_v", "battery.x * 0", "factor \"0\""},
    {"battery.voltage_v", "battery.x * -0.0", "factor \"-0.0\""},
    {"battery.voltage_v", "battery.x * 1e-400", "factor"},
    {"battery.voltage_v", "battery.x * 1e400", "factor"},
    {"battery.voltage_v", "battery.x * 1e-310", "factor"},
    {"battery.voltage_v", "battery.x * nan", "factor \"nan\""},
    {"battery.voltage_v", "battery.x * inf", "factor \"inf\""},
    {"battery.voltage_v", "battery.x * 0x10", "factor \"0x10\""},
    {"battery.voltage_v", "battery.x * 0,001", "factor \"0,001\""},
    {"battery.voltage_v", "battery.x * .5", "factor \".5\""},
    {"battery.voltage_v", "battery.x * 5.", "factor \"5.\""},
    {"battery.voltage_v", "battery.x * 1e", "factor \"1e\""},
    {"battery.voltage_v", "battery.x * 1e+", "factor \"1e+\""},
    {"battery.voltage_v", "battery.x * -", "factor \"-\""},
    {"battery.voltage_v", "battery.x * 2 3", "factor \"2 3\""},
    {"battery.voltage_v", "battery.x * 2 * 3", "factor \"2 * 3\""},
    {"battery.voltage_v", "battery.x * two", "factor \"two\""},
    {"battery.voltage_v",
     "battery.x * 1000000000000000000000000000000000000000000000000000000000000000000000",
     "0000...\""},
};

static void test_refused(void **state)
{

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct foxtrackr_problem problem;
        size_t count = fields->count;

        if (foxtrackr_fields_add(fields, refused[i].column, refused[i].source, &problem) !=
            FOXTRACKR_E_FIELD) {
            fail_msg("not refused: %s = %s", refused[i].column, refused[i].source);
        }
        assert_int_equal(problem.reason, FOXTRACKR_E_FIELD);
        if (!strstr(problem.detail, refused[i].detail)) {
            fail_msg("%s = %s: \"%s\" is not in the detail: %s", refused[i].column,
                     refused[i].source, refused[i].detail, problem.detail);
        }
        assert_int_equal(fields->count, count);
    }
    assert_true(isnan(voltage("\"battery\":{\"x\":1}")));
}

static double celsius(const char *rest)
{
    struct foxtrackr_message message;
    double value;

    parse(rest, &message);
    value = message.celsius;
    foxtrackr_message_clear(&message);
    return value;
}

static void test_factors(void **state)
{
    static const struct {
        const char *source;
        double value; /* of 1234 */
    } cases[] = {
        {"temperature.x", 1234},           {"temperature.x * 1", 1234},
        {"temperature.x*1", 1234},         {"\ttemperature.x\t *  0.001 ", 1.234},
        {"temperature.x * 1e-3", 1.234},   {"temperature.x * 1E-03", 1.234},
        {"temperature.x * 0.01", 12.34},   {"temperature.x * 0.1", 123.4},
        {"temperature.x * +0.5", 617},     {"temperature.x * -0.001", -1.234},
        {"temperature.x * -1e-1", -123.4}, {"temperature.x * 2.5e0", 3085},
        {"temperature.x * 2", 2468},       {"temperature.x * 00.10", 123.4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool in_range = cases[i].value <= 3000;
        double value;

        add("temperature.celsius", cases[i].source);
        value = celsius("\"battery\":0,\"temperature\":{\"x\":1234}");
        if (in_range ? value != cases[i].value : !isnan(value)) {
            fail_msg("%s: expected %.17g, got %.17g", cases[i].source, cases[i].value, value);
        }
    }
}

/* Every known unit, in the spellings that trackers use; and spellings of none. */
static const struct {
    const char *unit;
    double volts; /* 5 of it */
    double percent;
    double celsius;
} units[] = {
    {"V", 5, NAN, NAN},
    {"v", 5, NAN, NAN},
    {"Volt", 5, NAN, NAN},
    {" volts ", 5, NAN, NAN},
    {"mV", 0.005, NAN, NAN},
    {"mv", 0.005, NAN, NAN},
    {"milli-volts", 0.005, NAN, NAN},
    {"%", NAN, 5, NAN},
    {"Percent", NAN, 5, NAN},
    {"pct", NAN, 5, NAN},
    {"percentage", NAN, 5, NAN},
    {"\xe2\x80\xb0", NAN, 0.5, NAN},
    {"permille", NAN, 0.5, NAN},
    {"C", NAN, NAN, 5},
    {"c", NAN, NAN, 5},
    {"\xc2\xb0\x43", NAN, NAN, 5},
    {"\xc2\xb0 C", NAN, NAN, 5},
    {"\xc2\xba\x43", NAN, NAN, 5},
    {"\xe2\x84\x83", NAN, NAN, 5},
    {"celsius", NAN, NAN, 5},
    {"Celsius", NAN, NAN, 5},
    {"degC", NAN, NAN, 5},
    {"deg. C", NAN, NAN, 5},
    {"degrees Celsius", NAN, NAN, 5},
    {"m\xc2\xb0\x43", NAN, NAN, 0.005},
    {"F", NAN, NAN, -15},
    {"f", NAN, NAN, -15},
    {"\xc2\xb0\x46", NAN, NAN, -15},
    {"\xe2\x84\x89", NAN, NAN, -15},
    {"FAHRENHEIT", NAN, NAN, -15},
    {"deg_F", NAN, NAN, -15},
    {"K", NAN, NAN, -268.15},
    {"Kelvin", NAN, NAN, -268.15},
    {"\xe2\x84\xaa", NAN, NAN, -268.15},
    {"", NAN, NAN, NAN},
    {"\xc2\xb0", NAN, NAN, NAN},
    {"deg", NAN, NAN, NAN},
    {"MV", NAN, NAN, NAN},
    {"Mv", NAN, NAN, NAN},
    {" MV", NAN, NAN, NAN},
    {"kV", NAN, NAN, NAN},
    {"VV", NAN, NAN, NAN},
    {"Rankine", NAN, NAN, NAN},
    {"C/F", NAN, NAN, NAN},
    {"a text that is longer than any unit has ever been", NAN, NAN, NAN},
    {"\xe2\x82", NAN, NAN, NAN},
};

static void test_units(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        enum foxtrackr__unit unit = foxtrackr__unit_read(units[i].unit, strlen(units[i].unit));
        const double expected[FOXTRACKR__COLUMNS] = {units[i].volts, units[i].percent,
                                                     units[i].celsius};
        bool known = false;

        for (int column = 0; column < FOXTRACKR__COLUMNS; column++) {
            if (!isnan(expected[column])) {
                known = true;
                assert_int_not_equal(unit, FOXTRACKR__UNIT_UNKNOWN);
                assert_int_equal(foxtrackr__unit_column(unit), column);
                assert_true(foxtrackr__unit_convert(unit, 5) == expected[column]);
            }
        }
        if (!known && unit != FOXTRACKR__UNIT_UNKNOWN) {
            fail_msg("\"%s\" is known", units[i].unit);
        }
    }
    assert_true(foxtrackr__unit_convert(foxtrackr__unit_read("ratio", 5), 0.29) == 29);
    assert_true(foxtrackr__unit_convert(foxtrackr__unit_read("F", 1), 70.7) == 21.5);
}

/* One table for people, one for the program: every mapping with its column and unit, in order. */
static void test_page_has_the_table(void **state)
{
    static const char *const column_names[] = {"voltage_v", "level_pct", "celsius"};
    static const char *const unit_names[] = {
        [FOXTRACKR__UNIT_V] = "V",        [FOXTRACKR__UNIT_MV] = "mV",
        [FOXTRACKR__UNIT_PCT] = "%",      [FOXTRACKR__UNIT_C] = "\\(deC",
        [FOXTRACKR__UNIT_MC] = "m\\(deC", [FOXTRACKR__UNIT_COLUMN] = "\\-",
    };
    const char *root = getenv("FOXTRACKR_ROOT") ? getenv("FOXTRACKR_ROOT") : ".";
    char line[512];
    size_t found = 0;
    FILE *page;

    (void)state;
    snprintf(line, sizeof(line), "%s/lib/libfoxtrackr.3", root);
    page = fopen(line, "r");
    assert_non_null(page);
    while (fgets(line, sizeof(line), page)) {
        const struct foxtrackr__field *field = &fields->field[found];
        char expected[512];
        char path[256];

        if (strncmp(line, ".It Li battery", 14) != 0 &&
            strncmp(line, ".It Li temperature", 18) != 0) {
            continue;
        }
        assert_true(found < fields->count);
        memcpy(path, field->names, field->names_size);
        for (size_t i = 0; i + 1 < field->names_size; i++) {
            path[i] = path[i] == '\0' ? '.' : path[i];
        }
        snprintf(expected, sizeof(expected), ".It Li %s Ta %s Ta %s\n", path,
                 column_names[field->column], unit_names[field->unit]);
        assert_string_equal(line, expected);
        found++;
    }
    fclose(page);
    assert_int_equal(found, fields->count);
}

/* A decimal comma in the environment must not change what 0.001 means. */
static void test_locale_does_not_matter(void **state)
{
    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) {
        print_message("no German locale on this machine, skipping\n");
        skip();
    }
    add("battery.voltage_v", "battery.x * 0.001");
    setlocale(LC_NUMERIC, "C");
    assert_true(voltage("\"battery\":{\"x\":1234}") == 1.234);
}

static void test_latest_wins(void **state)
{
    (void)state;
    add("battery.voltage_v", "battery.a");
    add("battery.voltage_v", "battery.b");
    assert_true(voltage("\"battery\":{\"a\":1,\"b\":2,\"voltage\":3}") == 2);
    assert_true(voltage("\"battery\":{\"a\":1,\"voltage\":3}") == 1);
    assert_true(voltage("\"battery\":{\"voltage\":3}") == 3);
}

/* The same path again replaces its mapping: the table grows by one path, not by one a call. */
static void test_path_is_there_once(void **state)
{
    size_t count = fields->count;
    struct foxtrackr_message message;

    (void)state;
    add("battery.voltage_v", "battery.a");
    add("battery.voltage_v", "battery.a * 0.1");
    add("battery.level_pct", "battery.a * 0.5");
    assert_int_equal(fields->count, count + 1);
    parse("\"battery\":{\"a\":80}", &message);
    assert_true(isnan(message.voltage_v));
    assert_true(message.level_pct == 40);
    foxtrackr_message_clear(&message);
}

/* A path is its names, not its letters: "ab" and "a.b" differ. */
static void test_paths_are_compared_by_name(void **state)
{
    (void)state;
    add("battery.voltage_v", "ab");
    add("battery.voltage_v", "a.b");
    assert_true(voltage("\"battery\":{},\"ab\":1") == 1);
    assert_true(voltage("\"battery\":{},\"a\":{\"b\":2},\"ab\":1") == 2);
    assert_true(isnan(voltage("\"battery\":{},\"a.b\":1")));
}

static void test_strings_are_copied(void **state)
{
    char column[] = "battery.voltage_v";
    char source[] = "battery.x * 0.001";

    (void)state;
    add(column, source);
    memset(column, '?', sizeof(column) - 1);
    memset(source, '?', sizeof(source) - 1);
    assert_true(voltage("\"battery\":{\"x\":1234}") == 1.234);
}

/* Deep enough that no fixed array of names would do. */
static void test_deep_path(void **state)
{
    char source[301] = "";
    char rest[512] = "\"battery\":{},";

    (void)state;
    for (int i = 0; i < 60; i++) {
        strcat(source, i > 0 ? ".a" : "a");
        strcat(rest, i > 0 ? "{\"a\":" : "\"a\":");
    }
    strcat(rest, "7");
    for (int i = 0; i < 59; i++) {
        strcat(rest, "}");
    }
    add("battery.voltage_v", source);
    assert_true(voltage(rest) == 7);
}

/* The invariant of fields.c, on which message.c relies. */
static void test_builtin_paths_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < fields->count; i++) {
        for (size_t j = i + 1; j < fields->count; j++) {
            assert_false(fields->field[i].names_size == fields->field[j].names_size &&
                         memcmp(fields->field[i].names, fields->field[j].names,
                                fields->field[i].names_size) == 0);
        }
    }
}

/* A stored battery row with this extra, mapped again. The caller clears it. */
static struct foxtrackr_message map_again(const char *extra, double voltage_v, double level_pct)
{
    struct foxtrackr_problem problem;
    struct foxtrackr_message row = {.has_battery = true,
                                    .voltage_v = voltage_v,
                                    .level_pct = level_pct,
                                    .battery_extra = extra,
                                    .celsius = NAN};

    assert_int_equal(foxtrackr_extra_map(fields, &row, &problem), 0);
    return row;
}

/* A mapping that came later fills what is NULL and takes it out of extra; what is there stays. */
static void test_extra_is_mapped_again(void **state)
{
    static const char extra[] = "{\"battery\":{\"akku\":3650,\"rssi\":-70},\"up\":1}";
    struct foxtrackr_message row;

    (void)state;
    row = map_again(extra, NAN, NAN);
    assert_true(isnan(row.voltage_v) && isnan(row.level_pct));
    assert_string_equal(row.battery_extra, extra);
    foxtrackr_message_clear(&row);

    add("battery.voltage_v", "battery.akku * 0.001");
    row = map_again(extra, NAN, 50);
    assert_true(row.voltage_v == 3.65 && row.level_pct == 50 && isnan(row.celsius));
    assert_string_equal(row.battery_extra, "{\"battery\":{\"rssi\":-70},\"up\":1}");
    foxtrackr_message_clear(&row);

    row = map_again(extra, 3, NAN);
    assert_true(row.voltage_v == 3 && isnan(row.level_pct));
    assert_string_equal(row.battery_extra, extra);
    foxtrackr_message_clear(&row);

    row = map_again("{\"battery\":{\"akku\":3650}}", NAN, NAN);
    assert_true(row.voltage_v == 3.65);
    assert_null(row.battery_extra);
    foxtrackr_message_clear(&row);
}

static void test_extra_that_cannot_be_read(void **state)
{
    struct foxtrackr_problem problem = {0};
    struct foxtrackr_message row = {.has_temperature = true,
                                    .voltage_v = NAN,
                                    .level_pct = NAN,
                                    .celsius = NAN,
                                    .temperature_extra = "{"};

    (void)state;
    assert_int_equal(foxtrackr_extra_map(fields, &row, &problem), FOXTRACKR_E_JSON);
    assert_int_equal(problem.reason, FOXTRACKR_E_JSON);
    assert_string_equal(row.temperature_extra, "{");
    assert_null(row.storage);
}

static void test_free_accepts_null(void **state)
{
    (void)state;
    foxtrackr_fields_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_factors, setup, teardown),
        cmocka_unit_test(test_units),
        cmocka_unit_test_setup_teardown(test_page_has_the_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_locale_does_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_latest_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_path_is_there_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paths_are_compared_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strings_are_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep_path, setup, teardown),
        cmocka_unit_test_setup_teardown(test_builtin_paths_are_unique, setup, teardown),
        cmocka_unit_test_setup_teardown(test_extra_is_mapped_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_extra_that_cannot_be_read, setup, teardown),
        cmocka_unit_test(test_free_accepts_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
