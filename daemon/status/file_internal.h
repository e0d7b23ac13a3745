/* The forms in which a snapshot goes to files. Main's thread only. */
#ifndef STATUS_FILE_INTERNAL_H
#define STATUS_FILE_INTERNAL_H

#include "base/own_file.h"
#include "config/config.h"
#include "status/status.h"

/* Raised when a member of the JSON is renamed, removed or gets another meaning; new members do not
 * raise it. foxtrackrctl(8) documents every member. */
#define STATUS_FILE_FORMAT 1

/*
 * Write a snapshot as JSON (status/json.c), or as metrics in the Prometheus text format
 * (status/metrics.c), in the place of `file`. `config` is the one that the sessions were made from.
 * Returns 0; or 1 with file->problem set.
 */
int status_file_write_json(struct own_file *file, const struct config *config,
                           const struct status_snapshot *snapshot);
int status_file_write_metrics(struct own_file *file, const struct config *config,
                              const struct status_snapshot *snapshot);

#define STATUS_FILE_MODE 0640
/* The node exporter runs as another user. */
#define STATUS_FILE_METRICS_MODE 0644

/* A state's name as it stands in the file ("subscribed", …). */
const char *status_file_session_state(enum session_state state);
const char *status_file_writer_state(enum writer_state state);

#endif
