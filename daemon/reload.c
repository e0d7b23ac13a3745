/*
 * A reload: changes of live keys (config/keys.c) take effect, every other change is logged as
 * needing a restart. The configuration of the start stays in use: sessions, client ids, broker and
 * database never change during a run.
 */
#include "reload.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "mqtt/mqtt.h"
#include "preflight.h"

#define NAMES_SIZE 1024 /* of the list of keys in a line of the log */

struct writer_limits reload_limits(const struct config *config)
{
    return (struct writer_limits){
        .fields = config->fields,
        .views = config->views,
        .max_future_ms = config->parser.max_future_ms,
        .batch_max = config->database.batch_max,
        .retention_days = {[STORE_BATTERY] = config->database.retention_days_battery,
                           [STORE_TEMPERATURE] = config->database.retention_days_temperature,
                           [STORE_MESSAGES] = config->database.retention_days_messages,
                           [STORE_QUARANTINE] = config->database.retention_days_quarantine},
        .rollup_days = config->database.rollup_days,
        .min_free_mb = config->database.min_free_mb,
    };
}

/* Gives the live values of a new configuration to the parts that use them. */
static void apply_live(const struct reload_parts *parts, struct config *loaded)
{
    const struct writer_limits limits = reload_limits(loaded);

    loaded->fields = NULL;
    loaded->views = NULL;
    writer_set_limits(parts->writer, &limits);
    if (intake_set_max_payload(parts->intake, loaded->parser.max_payload) != 0) {
        log_error(
            "parser.max_payload: no memory for messages of %zu bytes; going on with the value "
            "from before",
            loaded->parser.max_payload);
    } else {
        paho_limit_payload(loaded->parser.max_payload);
    }
    log_set_level(loaded->log.level);
    status_reload(parts->status, loaded);
}

static void log_problem(const char *sentence)
{
    log_error("%s", sentence);
}

/* Logs every change that needs a restart; names that do not fit into the line are counted. */
static void tell_reloaded(const struct config *running, const struct config *loaded)
{
    char names[NAMES_SIZE];
    char rest[32] = "";
    int count = config_needs_restart(running, loaded, names, sizeof(names));

    if (count == 0) {
        log_notice("%s reloaded", loaded->path);
        return;
    }
    if (strlen(names) == sizeof(names) - 1) {
        snprintf(rest, sizeof(rest), "... (%d in all)", count);
    }
    log_warning("%s reloaded; these changes need a restart: %s%s", loaded->path, names, rest);
}

void reload_configuration(const struct reload_parts *parts)
{
    const char *path = parts->running->path;
    struct config_problems problems;
    struct config *loaded = NULL;
    char problem[CONFIG_PROBLEM_SIZE];

    if (preflight_regular(path, problem) != 0) {
        /* Reading a pipe that somebody put there would hold main for as long as nobody writes. */
        log_error("%s; keeping the configuration as it was", problem);
    } else if (config_load(path, &loaded, &problems) != 0) {
        config_problems_tell(&problems, path, log_problem);
        log_error("%s: keeping the configuration as it was", path);
    } else if (preflight_files(loaded, problem) != 0) {
        log_error("%s; keeping the configuration as it was", problem);
        config_free(loaded);
    } else {
        preflight_configuration(loaded);
        apply_live(parts, loaded);
        tell_reloaded(parts->running, loaded);
        config_free(loaded);
    }
    if (preflight_certificates(parts->running, problem) != 0) {
        log_error("%s; no connection can be made until that is mended", problem);
    }
}
