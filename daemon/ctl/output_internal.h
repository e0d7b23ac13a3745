/* A file that a command writes, or standard output, through a buffer. Main's thread. */
#ifndef CTL_OUTPUT_INTERNAL_H
#define CTL_OUTPUT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define CTL_OUTPUT_PROBLEM_SIZE 1024

struct ctl_output {
    const char *path; /* as given; NULL: standard output */
    bool replace;     /* a regular file that is there */
    char *part;       /* name of the unfinished file; NULL: `path` is written itself */
    int fd;
    bool terminal; /* what is written there is shown as it is written */
    char *buffer;
    size_t length;   /* bytes in the buffer */
    size_t size;     /* of the buffer */
    int64_t written; /* bytes that were written to the file */
    char problem[CTL_OUTPUT_PROBLEM_SIZE];
};

/* Returns the file that the word of --output names, or NULL for standard output: no word, or "-".
 */
const char *ctl_output_path(const char *word);

/*
 * Check a file before the work begins whose result ctl_output_open() is to write there: it is none
 * of the files of the database `database`, nor of the configuration (NULL: none); and without
 * `replace` there is no regular file of that name. `what` names the result ("the report"). Returns
 * 0, or -1 with `problem` set.
 */
int ctl_output_check(const struct config *config, const char *database, const char *path,
                     const char *what, bool replace, char problem[CTL_OUTPUT_PROBLEM_SIZE]);

/*
 * Open `path` (borrowed), or standard output for NULL, and ignore SIGPIPE from now on. A regular
 * file is written under another name in its directory, and gets its name with ctl_output_finish(),
 * which replaces a file of that name only with `replace`: a file of that name is complete. A pipe
 * or device is written itself. Returns 0, or -1 with output->problem set. The caller ends with
 * ctl_output_finish() or ctl_output_drop(), whatever the result.
 */
int ctl_output_open(struct ctl_output *output, const char *path, bool replace);

/* Returns `size` bytes behind those in the buffer, or NULL with output->problem set: out of memory.
 * The caller adds what it has used to output->length. */
char *ctl_output_room(struct ctl_output *output, size_t size);

/* Write the buffer. Returns 0; or -1 with output->problem set, also when a signal has ended the
 * command (ctl_work_stopped()). Then only ctl_output_drop() is left. */
int ctl_output_flush(struct ctl_output *output);

/* Write the buffer and then `length` bytes that are not in it. Results as ctl_output_flush(). */
int ctl_output_write(struct ctl_output *output, const char *bytes, size_t length);

/* Write the buffer, sync the file, and give it its name. Returns 0, or -1 with output->problem set.
 * Frees everything in any case; on failure the unfinished file is removed. */
int ctl_output_finish(struct ctl_output *output);

/* Remove the unfinished file, and free everything. */
void ctl_output_drop(struct ctl_output *output);

#endif
