/* Goal: an engine that is not there, or is of another build, is refused with a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/load.h"
#include "store/module.h"
#include "store/store.h"

static char module[4096]; /* beside this program, where the loader looks first */

static void test_sqlite_is_there(void **state)
{
    const struct store_engine *engine = NULL;
    char problem[256];

    (void)state;
    assert_int_equal(store_load(CONFIG_SQLITE, &engine, problem, sizeof(problem)), STORE_OK);
    assert_ptr_equal(engine, &store_sqlite);
}

static void refuse(const char *says)
{
    const struct store_engine *engine = NULL;
    char problem[8192] = "";

    assert_int_equal(store_load(CONFIG_POSTGRESQL, &engine, problem, sizeof(problem)),
                     STORE_E_PATH);
    assert_null(engine);
    if (strstr(problem, says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", problem, says);
    }
}

static void test_a_module_that_is_not_there(void **state)
{
    (void)state;
    unlink(module);
    if (access(MODULEDIR "/foxtrackrd-postgresql.so", F_OK) != 0) {
        refuse("needs the package foxtrackrd-postgresql: " MODULEDIR);
    }
}

static void build(const char *members)
{
    char command[9000];

    snprintf(command, sizeof(command),
             "printf '%%s\\n' '#include \"store/module.h\"'"
             " 'const struct store_module foxtrackrd_store_module = {%s};' |"
             " cc -shared -fPIC -iquote lib -iquote daemon -D_GNU_SOURCE -x c -o '%s' -",
             members, module);
    assert_int_equal(system(command), 0);
}

static void test_modules_that_do_not_fit(void **state)
{
    FILE *file;

    (void)state;
    file = fopen(module, "w");
    assert_non_null(file);
    fputs("text", file);
    fclose(file);
    refuse("cannot be loaded: ");
    build(".magic = 1");
    refuse("is not a module of foxtrackrd");
    build(".magic = STORE_MODULE_MAGIC, .version = \"0.0.7\", .layout = STORE_MODULE_LAYOUT");
    refuse("is of version 0.0.7, and this is " FOXTRACKRD_VERSION);
    build(".magic = STORE_MODULE_MAGIC, .version = \"" FOXTRACKRD_VERSION "\", .layout = 1");
    refuse("is of another build");
}

static int find_place(void **state)
{
    ssize_t length = readlink("/proc/self/exe", module, sizeof(module) - 64);
    char *slash;

    (void)state;
    if (length <= 0) {
        return -1;
    }
    module[length] = '\0';
    slash = strrchr(module, '/');
    strcpy(slash + 1, "foxtrackrd-postgresql.so");
    return 0;
}

static int remove_module(void **state)
{
    (void)state;
    unlink(module);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlite_is_there),
        cmocka_unit_test(test_a_module_that_is_not_there),
        cmocka_unit_test(test_modules_that_do_not_fit),
    };

    return cmocka_run_group_tests(tests, find_place, remove_module);
}
