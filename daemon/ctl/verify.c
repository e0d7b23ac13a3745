/* `foxtrackrctl verify`: prints what store_verify() finds, and how far it is. */
#include "ctl/commands_internal.h"

#include <stdio.h>

#include "base/moment.h"
#include "ctl/report_internal.h"
#include "ctl/work_internal.h"
#include "store/store.h"

#define BUSY_TIMEOUT_MS 5000 /* used without a configuration */

struct verification {
    struct ctl_report report;
    struct ctl_work work;
};

static void finding(void *context, const char *check, bool good, const char *detail)
{
    struct verification *verification = context;

    ctl_work_clear(&verification->work);
    ctl_report(&verification->report, check, good, "%s", detail);
}

int ctl_verify(const struct config *config, const struct ctl_words *words)
{
    const struct store_options options = {
        .path = words->operand_count > 0 ? words->operands[0] : config->database.path,
        .busy_timeout_ms = config != NULL ? config->database.busy_timeout_ms : BUSY_TIMEOUT_MS,
        .read_only = true,
        .stopped = ctl_work_stopped,
    };
    struct verification verification;
    struct store *store;
    char problem[CTL_DETAIL_SIZE];
    char taken[MOMENT_SIZE];
    int64_t taken_ms = 0;
    int result;

    ctl_work_begin(&verification.work);
    ctl_report_begin(&verification.report, (words->options & CTL_JSON) != 0);
    if (store_open(&options, &store, problem, sizeof(problem)) != STORE_OK) {
        ctl_report(&verification.report, "database", false, "%s", problem);
        return ctl_report_end(&verification.report);
    }
    if (store_is_backup(store, &taken_ms)) {
        ctl_report(&verification.report, "database", true, "%s: a backup of %s", options.path,
                   moment_text(taken_ms, taken));
    } else {
        ctl_report(&verification.report, "database", true, "%s", options.path);
    }
    result = store_verify(store, &verification.work.watcher, finding, &verification);
    ctl_work_clear(&verification.work);
    if (result != STORE_OK) {
        ctl_report(&verification.report, "verify", false, "%s", store_error(store));
    }
    store_close(store);
    return ctl_report_end(&verification.report);
}
