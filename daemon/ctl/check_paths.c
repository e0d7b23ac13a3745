/*
 * Checks that each file of the daemon serves one purpose, and that the files it replaces or appends
 * to are its own: foxtrackrd would refuse to start otherwise.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/own_file.h"
#include "config/config.h"
#include "ctl/check_findings_internal.h"

static void shared(void *context, const char *sentence)
{
    ctl_finding(context, "paths", false, "%s", sentence);
}

/* Reports a file that is not foxtrackrd's. A file that this user may not read is left out; root or
 * the daemon's user can check it. */
static void judge(struct ctl_findings *findings, const char *key, const char *path,
                  enum own_file_kind kind)
{
    char reason[OWN_FILE_REASON_SIZE];
    int error;

    if (path != NULL && own_file_judge(path, kind, &error, reason) == OWN_FILE_OTHER &&
        error != EACCES) {
        ctl_finding(findings, "paths", false, "%s: %s %s", key, path, reason);
    }
}

void ctl_check_paths(struct ctl_findings *findings, const struct config *config)
{
    char problem[CONFIG_PROBLEM_SIZE];
    bool before = findings->good;
    char lock[PATH_MAX + 16];

    findings->good = true;
    if (paths_check(config, problem) != 0) {
        ctl_finding(findings, "paths", false, "%s", problem);
    }
    paths_each_shared(config, shared, findings);
    judge(findings, "status.file", config->status.file, OWN_FILE_STATUS);
    judge(findings, "status.metrics_file", config->status.metrics_file, OWN_FILE_METRICS);
    judge(findings, "log.file", config->log.file, OWN_FILE_LOG);
    snprintf(lock, sizeof(lock), "%s.lock", config->database.path);
    if (config->database.engine == CONFIG_SQLITE) {
        judge(findings, "the lock of database.path", lock, OWN_FILE_LOCK);
    }
    if (findings->good) {
        ctl_finding(findings, "paths", true, "every file serves one purpose");
    }
    findings->good = findings->good && before;
}
