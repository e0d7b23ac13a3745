/* The forms in which a snapshot goes to files. Main's thread only. */
#ifndef STATUS_FILE_H
#define STATUS_FILE_H

#include <stddef.h>

#include "config.h"
#include "status.h"

/* Raised when a member of the JSON is renamed, removed or gets another meaning; new members do not
 * raise it. foxtrackrctl(8) documents every member. */
#define STATUS_FILE_FORMAT 1

/*
 * Write a snapshot as JSON (status_json.c), or as metrics in the Prometheus text format
 * (status_metrics.c), to `path`: a reader sees the old file or the new one, never half of one.
 * `config` is the one that the sessions were made from. Returns 0, or a negative errno.
 */
int status_file_write_json(const char *path, const struct config *config,
                           const struct status_snapshot *snapshot);
int status_file_write_metrics(const char *path, const struct config *config,
                              const struct status_snapshot *snapshot);

/* A state's name as it stands in the file ("subscribed", …). */
const char *status_file_session_state(enum session_state state);
const char *status_file_writer_state(enum writer_state state);

/* Put bytes in the place of a file, by way of a temporary file beside it, with the given mode
 * whatever the umask is. Returns 0, or a negative errno. */
int status_file_replace(const char *path, int mode, const char *bytes, size_t length);

#endif
