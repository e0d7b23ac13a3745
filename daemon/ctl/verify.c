/* `foxtrackrctl verify`: prints what store_verify() finds, and how far it is. */
#include "ctl/commands_internal.h"

#include <stdio.h>

#include "base/moment.h"
#include "ctl/findings_internal.h"
#include "ctl/work_internal.h"
#include "store/store.h"

struct verification {
    struct ctl_findings findings;
    struct ctl_work work;
};

static void finding(void *context, const char *check, bool good, const char *detail)
{
    struct verification *verification = context;

    ctl_work_clear(&verification->work);
    ctl_finding(&verification->findings, check, good, "%s", detail);
}

int ctl_verify(const struct config *config, const struct ctl_words *words)
{
    const struct store_options options =
        ctl_work_reading(config, words->operand_count > 0 ? words->operands[0] : NULL);
    struct verification verification;
    struct store *store;
    char problem[CTL_DETAIL_SIZE];
    char taken[MOMENT_SIZE];
    int64_t taken_ms = 0;
    int result;

    ctl_work_begin(&verification.work);
    ctl_findings_begin(&verification.findings, (words->options & CTL_JSON) != 0);
    if (store_open(&options, &store, problem, sizeof(problem)) != STORE_OK) {
        ctl_finding(&verification.findings, "database", false, "%s", problem);
        return ctl_findings_end(&verification.findings);
    }
    if (store_is_backup(store, &taken_ms)) {
        ctl_finding(&verification.findings, "database", true, "%s: a backup of %s", options.path,
                    moment_text(taken_ms, taken));
    } else {
        ctl_finding(&verification.findings, "database", true, "%s", options.path);
    }
    result = store_verify(store, &verification.work.watcher, finding, &verification);
    ctl_work_clear(&verification.work);
    if (result != STORE_OK) {
        ctl_finding(&verification.findings, "verify", false, "%s", store_error(store));
    }
    store_close(store);
    return ctl_findings_end(&verification.findings);
}
