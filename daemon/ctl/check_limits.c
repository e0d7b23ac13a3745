/*
 * The table `limits`, which people fill: a misspelt group or device makes a limit that never
 * applies, and nothing else tells of it.
 */
#include "ctl/check_findings_internal.h"

#include <inttypes.h>

#include "store/answers.h"

void ctl_check_limits(struct ctl_findings *findings, struct store *store)
{
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    int result = store_query_named(store, STORE_NAMED_LIMITS_OF_NOBODY, NULL, 0, &query);

    while (result == STORE_OK && (result = store_query_next(query, &row)) == STORE_OK &&
           row != NULL) {
        ctl_finding_warning(findings, "limits", "limit_id %" PRId64 ": %s, so it never applies",
                            row[0].integer, row[1].bytes);
    }
    if (result != STORE_OK) {
        ctl_finding(findings, "database", false, "%s", store_error(store));
    }
    store_query_close(query);
}
