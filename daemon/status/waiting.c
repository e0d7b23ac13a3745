/*
 * The status file and the metrics file of a daemon that waits: for the server of its database, or
 * for the daemon that has its sessions. There is no writer and no session yet, so there is little
 * to show. When the wait is over, these files are removed, and those of status.c take their place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "status/file_internal.h"

struct status_waiting {
    const struct config *config;
    int64_t started_ms;
    int64_t written_ms; /* monotonic; the last status file */
    char text[STATUS_TEXT_SIZE];
    struct own_file file;
    struct own_file metrics;
    bool told; /* that a file cannot be written */
};

int status_waiting_new(struct status_waiting **out, const struct config *config)
{
    struct status_waiting *waiting = calloc(1, sizeof(*waiting));

    if (waiting == NULL) {
        return -ENOMEM;
    }
    waiting->config = config;
    waiting->started_ms = clock_wall_ms();
    waiting->written_ms = INT64_MIN / 2;
    own_file_init(&waiting->file, config->status.file, OWN_FILE_STATUS, STATUS_FILE_MODE);
    own_file_init(&waiting->metrics, config->status.metrics_file, OWN_FILE_METRICS,
                  STATUS_FILE_METRICS_MODE);
    *out = waiting;
    return 0;
}

void status_waiting_free(struct status_waiting *waiting)
{
    if (waiting != NULL) {
        own_file_remove(&waiting->file);
        own_file_remove(&waiting->metrics);
        free(waiting);
    }
}

static void tell(struct status_waiting *waiting, const char *key, const struct own_file *file)
{
    if (!waiting->told) {
        waiting->told = true;
        log_warning("%s %s: %s; going on without it", key, file->path, file->problem);
    }
}

void status_waiting_show(struct status_waiting *waiting, const char *text, const char *holder)
{
    const struct config *config = waiting->config;
    int64_t now_ms = clock_monotonic_ms();
    const struct status_wait wait = {
        .wall_ms = clock_wall_ms(),
        .started_ms = waiting->started_ms,
        .interval_ms = config->status.interval_ms,
        .state = holder != NULL ? "standby" : "waiting for the database",
        .text = text,
        .holder = holder,
    };

    if (strncmp(text, waiting->text, sizeof(waiting->text) - 1) == 0 &&
        now_ms - waiting->written_ms < config->status.interval_ms) {
        return;
    }
    waiting->written_ms = now_ms;
    snprintf(waiting->text, sizeof(waiting->text), "%s", text);
    if (config->status.file != NULL &&
        status_file_write_waiting_json(&waiting->file, config, &wait) != 0) {
        tell(waiting, "status.file", &waiting->file);
    }
    if (config->status.metrics_file != NULL &&
        status_file_write_waiting_metrics(&waiting->metrics, config, &wait) != 0) {
        tell(waiting, "status.metrics_file", &waiting->metrics);
    }
}
