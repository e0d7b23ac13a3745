/* `foxtrackrctl report`: the page in a file. */
#ifndef CTL_REPORT_INTERNAL_H
#define CTL_REPORT_INTERNAL_H

#include "config/config.h"
#include "ctl/moment_internal.h"
#include "ctl/page_internal.h"
#include "ctl/words_internal.h"

/*
 * Read what the words ask for: --since, counted back from now_ms, --group, --device, and the
 * database, which is the operand FILE or that of `config` (NULL where there is a FILE). Returns 0
 * and *out, which borrows the words; or -1 with `problem` set.
 */
int ctl_report_request(const struct config *config, const struct ctl_words *words, int64_t now_ms,
                       struct ctl_page_request *out, char problem[CTL_MOMENT_PROBLEM_SIZE]);

/* Make the report that the words ask for. Returns the exit status: 0, 1 (no such device or group,
 * too much for a page, stopped, or the database is locked), 64, 66, 69 (built without the page),
 * 71, 73 or 74. */
int ctl_report(const struct config *config, const struct ctl_words *words);

#endif
