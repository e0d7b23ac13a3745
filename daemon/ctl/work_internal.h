/*
 * Long work: a progress line on the terminal, and an orderly end at Ctrl-C.
 */
#ifndef CTL_WORK_INTERNAL_H
#define CTL_WORK_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/session.h"
#include "store/tools.h"

struct ctl_work {
    struct store_watcher watcher; /* for the store's functions; its context is this */
    bool terminal;                /* standard error is a terminal; else nothing is shown */
    const char *what;             /* the text shown last */
    int64_t begun_ms;             /* when that part of the work began */
    int64_t shown_ms;
};

/* Begin: from now on SIGINT, SIGTERM and SIGHUP end the work instead of the process. */
void ctl_work_begin(struct ctl_work *work);

/* Remove the progress line before other output. */
void ctl_work_clear(struct ctl_work *work);

/* Returns true when a signal has requested the end. */
bool ctl_work_stopped(void);

/* Returns the options for reading `file`, a database of SQLite, or with NULL the database of the
 * configuration. The texts are borrowed. */
struct store_options ctl_work_reading(const struct config *config, const char *file);

/* The sessions of a configuration, in the form in which a store takes them. */
struct ctl_sessions {
    const char *client_ids[CONFIG_SESSIONS_MAX]; /* the configuration's */
    char broker[BROKER_TARGET_SIZE];
};

/* Returns the options of the configuration with its sessions, which `sessions` keeps: for whoever
 * asks which daemon has them, or stores what belongs to them. */
struct store_options ctl_work_options(const struct config *config, struct ctl_sessions *sessions);

#endif
