/* Goal: the report's page numbers texts in the order in which they come, and as fast when somebody
 * has published to a hundred thousand groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/page_data_internal.h"

#define MANY  100000
#define CPU_S 5 /* comparing each with all others took 20 s, the tree takes 0.1 s */

static void each_text_has_one_number(void **state)
{
    static const char *const texts[] = {"herd", "a", "", "herd", "b", "a", "\xff", ""};
    static const size_t numbers[] = {0, 1, 2, 0, 3, 1, 4, 2};
    struct page_data data = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(page_text_index(&data, &data.groups, texts[i]), numbers[i]);
    assert_int_equal(data.groups.list.count, 5);
    assert_string_equal(((char **)data.groups.list.items)[3], "b");
    assert_false(data.out_of_memory);
    page_texts_free(&data.groups);
    page_texts_free(&data.families); /* nothing is in it */
}

static void many_texts_take_no_longer_each(void **state)
{
    struct page_data data = {0};
    const clock_t begin = clock();
    char text[64];

    (void)state;
    for (int i = 0; i < 2 * MANY; i++) {
        snprintf(text, sizeof(text), "a group of foxes, number %09d", i % MANY);
        assert_int_equal(page_text_index(&data, &data.groups, text), i % MANY);
        if (i % 1000 == 0)
            assert_true(clock() - begin < CPU_S * CLOCKS_PER_SEC);
    }
    page_texts_free(&data.groups);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_has_one_number),
        cmocka_unit_test(many_texts_take_no_longer_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
