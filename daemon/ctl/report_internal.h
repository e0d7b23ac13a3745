/* Findings, one line each: good, warn or BAD, for people as they come or for programs as JSON at
 * the end. */
#ifndef CTL_REPORT_INTERNAL_H
#define CTL_REPORT_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>

#define CTL_DETAIL_SIZE 1536

struct ctl_report {
    bool json;
    bool good; /* so far */
    json_t *checks;
};

/* Begin a report. */
void ctl_report_begin(struct ctl_report *report, bool json);

/* Add a finding. `detail` is a format; it names the thing, and for a bad one the reason and what to
 * do. */
void ctl_report(struct ctl_report *report, const char *check, bool good, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));

/* Add a warning: what works, and may be meant otherwise. The report stays as good as it is. */
void ctl_report_warning(struct ctl_report *report, const char *check, const char *detail, ...)
    __attribute__((format(printf, 3, 4)));

/* End it: print the JSON. Returns the exit status: 0 when everything is good, else 1. */
int ctl_report_end(struct ctl_report *report);

#endif
