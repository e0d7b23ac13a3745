/* Findings, one line each (good, warn or BAD), printed at once for people or as JSON at the end. */
#ifndef CTL_FINDINGS_INTERNAL_H
#define CTL_FINDINGS_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>

#define CTL_DETAIL_SIZE 1536

struct ctl_findings {
    bool json;
    bool good; /* no bad finding so far */
    json_t *checks;
};

/* Begin a collection of findings. */
void ctl_findings_begin(struct ctl_findings *findings, bool json);

/* Add a finding. `detail` is a format: it names the checked object, and for a bad finding the
 * reason and what to do. */
void ctl_finding(struct ctl_findings *findings, const char *check, bool good, const char *detail,
                 ...) __attribute__((format(printf, 4, 5)));

/* Add a warning, for something valid that was probably not meant. The exit status ignores it. */
void ctl_finding_warning(struct ctl_findings *findings, const char *check, const char *detail, ...)
    __attribute__((format(printf, 3, 4)));

/* End the collection and print its JSON. Returns the exit status: 0 when everything is good,
 * else 1. */
int ctl_findings_end(struct ctl_findings *findings);

#endif
