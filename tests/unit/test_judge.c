/* Goal: a message is judged by what is stored: new, a duplicate, or a conflict that a sentence
 * describes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/judge.h"

static struct judge_value json(const char *text)
{
    return judge_json("extra", text, text == NULL ? 0 : strlen(text));
}

static void check(struct judge_value came, struct judge_value stored, const char *sentence)
{
    struct foxtrackr_problem problem = {0};

    assert_int_equal(judge_compare("battery", &came, &stored, 1, &problem),
                     sentence == NULL ? JUDGE_SAME : JUDGE_CONFLICT);
    assert_string_equal(problem.detail, sentence == NULL ? "" : sentence);
}

static void test_values(void **state)
{
    const struct judge_value four = {.column = "n", .kind = JUDGE_INTEGER, .integer = 4};
    const struct judge_value five = {.column = "n", .kind = JUDGE_INTEGER, .integer = 5};

    (void)state;
    check(judge_real("level_pct", 80), judge_real("level_pct", 80), NULL);
    check(judge_real("level_pct", 0.0), judge_real("level_pct", -0.0), NULL);
    check(judge_real("level_pct", NAN), judge_real("level_pct", NAN), NULL);
    check(judge_real("level_pct", 81), judge_real("level_pct", 80),
          "battery.level_pct is 80 for this device and time, the message says 81");
    check(judge_real("level_pct", NAN), judge_real("level_pct", 80),
          "battery.level_pct is 80 for this device and time, the message says absent");
    check(judge_real("level_pct", 80), judge_real("level_pct", NAN),
          "battery.level_pct is absent for this device and time, the message says 80");
    check(four, four, NULL);
    check(five, four, "battery.n is 4 for this device and time, the message says 5");
    check(json(NULL), json(NULL), NULL);
    check(json("{\"a\": 1.0}"), json("{\"a\":1}"), NULL);
    check(json("{\"a\":2}"), json("{\"a\":1}"),
          "battery.extra is {\"a\":1} for this device and time, the message says {\"a\":2}");
    check(json("{\"a\":2}"), json(NULL),
          "battery.extra is absent for this device and time, the message says {\"a\":2}");
}

/* The first column that differs is named. */
static void test_columns(void **state)
{
    const struct judge_value came[] = {judge_real("voltage_v", 3.7), judge_real("level_pct", 80),
                                       json("1")};
    const struct judge_value stored[] = {judge_real("voltage_v", 3.7), judge_real("level_pct", 79),
                                         json("2")};
    struct foxtrackr_problem problem = {0};

    (void)state;
    assert_int_equal(judge_compare("battery", came, stored, 1, &problem), JUDGE_SAME);
    assert_int_equal(judge_compare("battery", came, stored, 3, &problem), JUDGE_CONFLICT);
    assert_string_equal(problem.detail,
                        "battery.level_pct is 79 for this device and time, the message says 80");
}

/* Long texts are cut between characters. */
static void test_long_texts(void **state)
{
    char text[200];
    char wanted[300];

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text + 75, "\xc3\xa4", 2); /* the second byte is the first that does not fit */
    text[sizeof(text) - 1] = '\0';
    snprintf(wanted, sizeof(wanted),
             "battery.extra is absent for this device and time, the message says %.75s...", text);
    check(json(text), json(NULL), wanted);
}

/* Memory was out: equal to nothing, not even to itself. */
static void test_lost_text(void **state)
{
    const struct judge_value lost = {.column = "extra", .kind = JUDGE_JSON};

    (void)state;
    check(lost, lost, "battery.extra is  for this device and time, the message says ");
}

static void check_rows(enum judge_row first, enum judge_row second, enum judge_row wanted,
                       const char *detail)
{
    static const char *const tables[] = {"battery", "temperature"};
    const enum judge_row each[] = {first, second};
    struct foxtrackr_problem problem = {.detail = "x"};

    assert_int_equal(judge_rows(tables, each, 2, &problem), wanted);
    assert_string_equal(problem.detail, detail);
    strcpy(problem.detail, "x");
    assert_int_equal(judge_rows(tables, each, 1, &problem), first);
    assert_string_equal(problem.detail, "x");
}

static void test_messages_of_two_rows(void **state)
{
    (void)state;
    check_rows(JUDGE_NEW, JUDGE_NEW, JUDGE_NEW, "x");
    check_rows(JUDGE_SAME, JUDGE_NEW, JUDGE_NEW, "x");
    check_rows(JUDGE_NEW, JUDGE_SAME, JUDGE_NEW, "x");
    check_rows(JUDGE_SAME, JUDGE_SAME, JUDGE_SAME, "x");
    check_rows(JUDGE_CONFLICT, JUDGE_SAME, JUDGE_CONFLICT, "x; its temperature is stored");
    check_rows(JUDGE_NEW, JUDGE_CONFLICT, JUDGE_CONFLICT, "x; its battery is stored");
    check_rows(JUDGE_CONFLICT, JUDGE_CONFLICT, JUDGE_CONFLICT, "x; its temperature differs too");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_lost_text),
        cmocka_unit_test(test_messages_of_two_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
