/* The symbol by which a program finds this engine in its module; see store/load.c. */
#include "store/module.h"

#include "store/postgresql/postgresql_internal.h"

extern const struct store_module foxtrackrd_store_module;

const struct store_module foxtrackrd_store_module = {
    .magic = STORE_MODULE_MAGIC,
    .layout = STORE_MODULE_LAYOUT,
    .version = FOXTRACKRD_VERSION,
    .library = "libpq",
    .engine = &store_postgresql,
};
