/* Findings, one line each (good, warn or BAD), printed at once for people or as JSON at the end. */
#ifndef CTL_REPORT_INTERNAL_H
#define CTL_REPORT_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>

#define CTL_DETAIL_SIZE 1536

struct ctl_report {
    bool json;
    bool good; /* no bad finding so far */
    json_t *checks;
};

/* Begin a report. */
void ctl_report_begin(struct ctl_report *report, bool json);

/* Add a finding. `detail` is a format: it names the checked object, and for a bad finding the
 * reason and what to do. */
void ctl_report(struct ctl_report *report, const char *check, bool good, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));

/* Add a warning, for something valid that was probably not meant. It does not make the report
 * bad. */
void ctl_report_warning(struct ctl_report *report, const char *check, const char *detail, ...)
    __attribute__((format(printf, 3, 4)));

/* End the report and print its JSON. Returns the exit status: 0 when everything is good, else 1. */
int ctl_report_end(struct ctl_report *report);

#endif
