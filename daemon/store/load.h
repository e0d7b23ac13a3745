/* Finds the engine that a configuration asks for; see store/load.c. Only store/ includes this. */
#ifndef STORE_LOAD_H
#define STORE_LOAD_H

#include <stddef.h>

#include "config/config.h"

struct store_engine;

/* Set *out to the engine, whose module is loaded if it has one, and stays loaded until the process
 * ends. STORE_OK; or STORE_E_PATH with `problem` set to a sentence. One thread at a time. */
int store_load(enum config_engine engine, const struct store_engine **out, char *problem,
               size_t problem_size);

#endif
