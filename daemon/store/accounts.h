/* The sentences of verify about the accounts of a database; see store/accounts.c. Only the engines
 * include this. Any thread. */
#ifndef STORE_ACCOUNTS_H
#define STORE_ACCOUNTS_H

#include <stdint.h>

#include "store/tools.h"

struct accounts {
    int64_t runs, received, stored, duplicate, quarantined; /* of the table runs */
    int64_t wrong_runs;                                     /* runs that do not add up */
    int64_t kept;                                           /* rows of quarantine */
    int64_t occurrences;                                    /* of them */
    int64_t wrong_kept;                     /* rows with an unknown reason, or no occurrences */
    int64_t battery, temperature, messages; /* rows */
    int64_t expired; /* rows that retention has taken out of these, and not deleted yet */
};

/* Report "runs". */
void accounts_tell_runs(const struct accounts *accounts, store_finding_fn finding, void *context);

/* Report "quarantine" and "readings". */
void accounts_tell_rows(const struct accounts *accounts, store_finding_fn finding, void *context);

#endif
