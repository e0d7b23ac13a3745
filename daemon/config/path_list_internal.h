/* The paths in a configuration. */
#ifndef CONFIG_PATH_LIST_INTERNAL_H
#define CONFIG_PATH_LIST_INTERNAL_H

#include "config/config.h"

/* Called for each key that names a file ("database.path"). Both texts last for the call. */
typedef void (*config_path_fn)(void *context, const char *key, const char *path);

/* Call `each` for every path in a loaded configuration; a key without a value is left out. */
void config_each_path(const struct config *config, config_path_fn each, void *context);

/* Call `each` for every path in another configuration file, with defaults for missing keys. Returns
 * 0, or 1 when the file cannot be read or is no configuration of foxtrackrd; nothing was called
 * then. */
int config_peek_paths(const char *file, config_path_fn each, void *context);

#endif
