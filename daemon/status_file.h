/* The forms in which a snapshot goes to files. Main's thread only. */
#ifndef STATUS_FILE_H
#define STATUS_FILE_H

#include "config.h"
#include "status.h"

/*
 * Write a snapshot as JSON, or as metrics in the Prometheus text format, to `path`: a reader sees
 * the old file or the new one, never half of one. Returns 0, or a negative errno.
 */
int status_file_write_json(const char *path, const struct config *config,
                           const struct status_snapshot *snapshot);
int status_file_write_metrics(const char *path, const struct config *config,
                              const struct status_snapshot *snapshot);

/* A state's name as it stands in the file ("subscribed", …). */
const char *status_file_session_state(enum session_state state);
const char *status_file_writer_state(enum writer_state state);

#endif
