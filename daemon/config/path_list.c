/*
 * Lists the paths in a loaded configuration, or in another configuration file beside it. The table
 * of keys says which keys hold paths, so a new key is included.
 *
 * Another file is read leniently, because its paths are only compared: its mistakes are reported by
 * its own daemon. Secrets that it names are not read.
 */
#include "config/path_list_internal.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_internal.h"

static bool holds_path(const struct config_key *key)
{
    return key->type == &config_value_path || key->type == &config_value_path_or_none;
}

void config_each_path(const struct config *config, config_path_fn each, void *context)
{
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (holds_path(key) && !(config->database.engine == CONFIG_POSTGRESQL &&
                                 strcmp(key->full_name, "database.path") == 0)) {
            /* The cast removes const because config_keys_field() serves writers too; nothing is
             * written here. */
            const char *path = *(char **)config_keys_field(key, (struct config *)config, 0);

            if (path != NULL) {
                each(context, key->full_name, path);
            }
        }
    }
}

struct peek {
    char *values[CONFIG_KEYS_MAX]; /* NULL: not in the file */
    bool has_host;                 /* broker.host, which every configuration of foxtrackrd has */
    bool failed;
};

static int take(void *context, const char *section, const char *name, const char *value)
{
    struct peek *peek = context;

    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (strcmp(config_keys_section(key->section), section) == 0 &&
            strcmp(key->name, name) == 0 && holds_path(key) && peek->values[i] == NULL) {
            peek->values[i] = strdup(value);
            peek->failed = peek->failed || peek->values[i] == NULL;
        }
    }
    peek->has_host =
        peek->has_host || (strcmp(section, "broker") == 0 && strcmp(name, "host") == 0);
    return 1;
}

int config_peek_paths(const char *file, config_path_fn each, void *context)
{
    struct peek peek = {0};
    bool ours = ini_parse(file, take, &peek) == 0 && peek.has_host && !peek.failed;

    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        const char *path = peek.values[i] != NULL ? peek.values[i] : key->standard;

        if (ours && holds_path(key) && path[0] == '/') {
            each(context, key->full_name, path);
        }
        free(peek.values[i]);
    }
    return ours ? 0 : 1;
}
