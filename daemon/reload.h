/* SIGHUP: a new configuration for the parts that can change while they run. Main's thread only. */
#ifndef RELOAD_H
#define RELOAD_H

#include "config/config.h"
#include "pipeline/pipeline.h"
#include "status/status.h"

struct reload_parts {
    const struct config *running; /* as loaded at the start */
    struct writer *writer;
    struct intake *intake;
    struct status *status;
};

/*
 * Read the file that parts->running came from and give each part its new values; the log names
 * every change that needs a restart. A file with an error changes nothing, and the log says so.
 * Then check the certificates again, because each new connection reads them.
 */
void reload_configuration(const struct reload_parts *parts);

/* The writer's limits from a configuration. Borrows config->fields and config->views: a caller that
 * gives the limits to the writer sets both to NULL. */
struct writer_limits reload_limits(const struct config *config);

#endif
