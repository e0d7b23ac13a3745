/* The report as one page of HTML, for a file and for `report --serve`. */
#ifndef CTL_PAGE_INTERNAL_H
#define CTL_PAGE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define CTL_PAGE_POLICY_SIZE  512
#define CTL_PAGE_PROBLEM_SIZE 1024

struct ctl_page_request {
    struct store_options database; /* of ctl_work_reading() */
    int64_t since_ms;   /* the page begins with the day of this time, or with that of the first
                           reading if that is later; ms since the epoch */
    int64_t until_ms;   /* "now" of the page */
    const char *group;  /* NULL: every device, or `device` */
    const char *device; /* a deviceId; the page has each of its readings. NULL: every device */
    int live_s;         /* 0: a file; else the page loads itself again every live_s seconds */
};

struct ctl_page {
    char *html; /* `length` bytes, UTF-8 */
    size_t length;
    char policy[CTL_PAGE_POLICY_SIZE]; /* the Content-Security-Policy of its <meta> element */
    size_t devices;
    size_t days;
};

/* Returns true when the page was built in: the charts' library was there at build time. */
bool ctl_page_available(void);

/*
 * Make the page of the database, which is opened read-only and closed again. Returns
 * EX_OK, and *page is for ctl_page_free(); or an exit status with a sentence in `problem`: 1 (no
 * such device or group, more than a page can have, or the database is locked), EX_NOINPUT (the
 * database cannot be read), EX_IOERR, EX_OSERR (out of memory), EX_UNAVAILABLE (built without the
 * page). Any thread, one at a time.
 */
int ctl_page_make(const struct ctl_page_request *request, struct ctl_page *page, char *problem,
                  size_t problem_size);

/* Frees the page's memory. A page that is all zero is allowed. */
void ctl_page_free(struct ctl_page *page);

#endif
