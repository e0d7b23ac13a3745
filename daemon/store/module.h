/*
 * An engine in a file of its own, which a program loads when the configuration asks for it. The
 * module is built from the same sources as the programs and is used with programs of the same
 * version only. Engines and store/ only.
 */
#ifndef STORE_MODULE_H
#define STORE_MODULE_H

#include <stdint.h>

#include "store/engine.h"

#define STORE_MODULE_MAGIC  UINT32_C(0x666f7874) /* "foxt" */
#define STORE_MODULE_SYMBOL "foxtrackrd_store_module"

/* Differs when the two sides were built with other structures, which the version alone may not
 * tell of two builds from one working tree. */
#define STORE_MODULE_LAYOUT                                                                        \
    ((uint32_t)(sizeof(struct store_engine) << 20 ^ sizeof(struct store_options) << 10 ^           \
                sizeof(struct foxtrackr_message) << 5 ^ sizeof(struct store_packet)))

/* The symbol STORE_MODULE_SYMBOL of a module. The members up to `version` never move. */
struct store_module {
    uint32_t magic;
    uint32_t layout;
    const char *version; /* FOXTRACKRD_VERSION of its build */
    const char *library; /* the database's library that it uses: "libpq 15.18" */
    const struct store_engine *engine;
};

#endif
