/*
 * Work that takes a while: a line on the terminal that says how far it is, and an end when the
 * operator presses Ctrl-C.
 */
#ifndef CTL_WORK_INTERNAL_H
#define CTL_WORK_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/tools.h"

struct ctl_work {
    struct store_watcher watcher; /* for the store's functions; its context is this */
    bool terminal;                /* standard error is one: only then is anything shown */
    const char *what;             /* shown last */
    int64_t begun_ms;             /* when that began */
    int64_t shown_ms;
};

/* Begin: from now on SIGINT, SIGTERM and SIGHUP end the work and not the process. */
void ctl_work_begin(struct ctl_work *work);

/* Remove the line of progress, so that something else can be printed. */
void ctl_work_clear(struct ctl_work *work);

/* Whether a signal asked for the end. */
bool ctl_work_stopped(void);

#endif
