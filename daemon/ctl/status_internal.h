/* `foxtrackrctl status`: shows the running daemon's status file. */
#ifndef CTL_STATUS_INTERNAL_H
#define CTL_STATUS_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "config/config.h"
#include "store/store.h"

#define CTL_STATUS_PROBLEM_SIZE 1024

/* Where the status is. */
struct ctl_status_source {
    const char *file;            /* the status file; NULL: status.file is off */
    const struct config *config; /* NULL: the file was named, and tells the rest */
};

/* Print the status once, in words or as JSON. Returns the exit status: EX_OK when all is well, else
 * 1. */
int ctl_status(const struct ctl_status_source *source, bool json);

/* Returns the options by which the daemon's database is opened: those of the configuration, or the
 * path that the status tells. The texts live as long as the source and `root`. */
struct store_options ctl_status_options(const struct ctl_status_source *source, const json_t *root);

/* Returns false when nothing leads to the database: it is PostgreSQL's, whose URI the status does
 * not tell, and there is no configuration. */
bool ctl_status_reaches(const struct ctl_status_source *source, const json_t *root);

/*
 * ctl/follow.c: show the status repeatedly until SIGINT, SIGTERM or q: a live view on a terminal,
 * else a line for each new status (with `json` the JSON, on one line). Waits for a daemon that does
 * not run yet. Returns the exit status.
 */
int ctl_status_follow(const struct ctl_status_source *source, bool json);

/* Read the status file. Returns its JSON, for json_decref(); NULL when there is none. *good is true
 * when the daemon that wrote it runs and has no problem; `problem` gets a sentence about the file
 * or its writer, or "". */
json_t *ctl_status_read(const struct ctl_status_source *source, bool *good,
                        char problem[CTL_STATUS_PROBLEM_SIZE]);

/* ctl/status_text.c: the status in words. */
void ctl_status_print(FILE *out, const json_t *root);

/* ctl/status_text.c: a line for each member of an object that is not 0. */
void ctl_status_print_reasons(FILE *out, const json_t *counts);

/*
 * ctl/status_quarantine.c: count the entries of quarantine by reason, of all runs, in the database
 * itself; takes some seconds at most. Returns an object with a member for each reason, for
 * json_decref(); or NULL with `problem` set.
 */
json_t *ctl_status_quarantine(const struct ctl_status_source *source, const json_t *root,
                              char problem[CTL_STATUS_PROBLEM_SIZE]);

/*
 * ctl/status_sessions.c: list the sessions that the database knows and that are not configured any
 * more. `root` is the status: while the daemon waits for the disk the database is not opened.
 * Returns an array of objects (client_id, broker, used_ms: when it was used last) for
 * json_decref(), empty where the database cannot be read.
 */
json_t *ctl_status_unused(const struct ctl_status_source *source, const json_t *root);

/* Print such an array in words. */
void ctl_status_print_unused(FILE *out, const json_t *unused);

/* The sum of the counts in the result of ctl_status_quarantine(). */
int64_t ctl_status_entries(const json_t *counted);

/* Print the total and the counts by reason from `counted`, the result of ctl_status_quarantine().
 * If it is NULL: print the total of the status `root` ("or more" at the daemon's limit, "not
 * counted" without one) and `problem`, why there are no counts by reason (NULL: not tried). */
void ctl_status_print_quarantine(FILE *out, const json_t *root, const json_t *counted,
                                 const char *problem);

/* ctl/status_text.c: the member of an object as an integer, or 0; as text, or "". */
int64_t ctl_status_integer(const json_t *object, const char *key);
const char *ctl_status_string(const json_t *object, const char *key);

#endif
