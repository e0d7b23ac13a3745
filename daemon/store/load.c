/*
 * Finds the engine of a configuration. SQLite is part of the programs. PostgreSQL is in a module,
 * so that a machine without it needs no libpq: the module is loaded only when a configuration asks
 * for it, from the folder of the running program (a build tree), from ../lib/foxtrackrd beside that
 * folder (installed below another PREFIX than it was built for), else from MODULEDIR.
 *
 * Must never happen: a function of a module of another build is called. The module's version and
 * the sizes of the shared structures are compared first.
 */
#include "store/load.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/module.h"

#define MODULE_NAME "foxtrackrd-postgresql.so"
#define BESIDE_BIN  "../lib/foxtrackrd/"
#define PATH_SIZE   (PATH_MAX + sizeof(BESIDE_BIN MODULE_NAME) + 1)

/* Set once, by the thread that opens the store, and never changed. */
static const struct store_engine *postgresql;

/* Writes the name of the module in a folder, as seen from that of the running program. Returns
 * false when that is not known. */
static bool near_program(const char *folder, char path[PATH_SIZE])
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
    char *slash;

    if (length <= 0 || length >= PATH_MAX) {
        return false;
    }
    path[length] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL) {
        return false;
    }
    snprintf(slash + 1, PATH_SIZE - (size_t)(slash + 1 - path), "%s%s", folder, MODULE_NAME);
    return true;
}

/* Writes the first path at which there is a module; else that in MODULEDIR. */
static void find_module(char path[PATH_SIZE])
{
    static const char *const folders[] = {"", BESIDE_BIN};

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (near_program(folders[i], path) && access(path, F_OK) == 0) {
            return;
        }
    }
    snprintf(path, PATH_SIZE, "%s/%s", MODULEDIR, MODULE_NAME);
}

static int check(const struct store_module *module, const char *path, char *problem,
                 size_t problem_size)
{
    if (module == NULL || module->magic != STORE_MODULE_MAGIC) {
        snprintf(problem, problem_size, "%s: is not a module of foxtrackrd", path);
        return STORE_E_PATH;
    }
    if (strcmp(module->version, FOXTRACKRD_VERSION) != 0) {
        snprintf(problem, problem_size,
                 "%s: is of version %s, and this is %s: install the same version of foxtrackrd and "
                 "foxtrackrd-postgresql",
                 path, module->version, FOXTRACKRD_VERSION);
        return STORE_E_PATH;
    }
    if (module->layout != STORE_MODULE_LAYOUT) {
        snprintf(problem, problem_size,
                 "%s: is of another build of version %s: install foxtrackrd and "
                 "foxtrackrd-postgresql of one build",
                 path, FOXTRACKRD_VERSION);
        return STORE_E_PATH;
    }
    return STORE_OK;
}

static int load_module(char *problem, size_t problem_size)
{
    char path[PATH_SIZE];
    const struct store_module *module;
    void *handle;
    int result;

    find_module(path);
    if (access(path, F_OK) != 0) {
        snprintf(problem, problem_size,
                 "database.engine = postgresql needs the package foxtrackrd-postgresql: %s is not "
                 "there",
                 path);
        return STORE_E_PATH;
    }
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        snprintf(problem, problem_size, "cannot be loaded: %s", dlerror());
        return STORE_E_PATH;
    }
    module = dlsym(handle, STORE_MODULE_SYMBOL);
    result = check(module, path, problem, problem_size);
    if (result != STORE_OK) {
        dlclose(handle);
        return result;
    }
    postgresql = module->engine; /* never unloaded: a library of it may have threads or atexit() */
    return STORE_OK;
}

int store_load(enum config_engine engine, const struct store_engine **out, char *problem,
               size_t problem_size)
{
    int result = STORE_OK;

    if (engine == CONFIG_SQLITE) {
        *out = &store_sqlite;
        return STORE_OK;
    }
    if (postgresql == NULL) {
        result = load_module(problem, problem_size);
    }
    if (result == STORE_OK) {
        *out = postgresql;
    }
    return result;
}
