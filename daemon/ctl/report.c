/*
 * `foxtrackrctl report`: writes the page of ctl/page_internal.h to a file or to standard output.
 *
 * A file gets its name when it is complete (ctl/output.c); one that is there is replaced only with
 * --force.
 */
#include "ctl/report_internal.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/plural.h"
#include "ctl/moment_internal.h"
#include "ctl/output_internal.h"
#include "ctl/page_internal.h"
#include "ctl/say_internal.h"
#include "ctl/serve_internal.h"
#include "ctl/work_internal.h"

#define SINCE_DEFAULT "30d"
#define MIB           1048576.0

/* Writes the page, and says how it went. Returns the exit status. */
static int write_page(const struct ctl_page *page, const char *file, bool force, int64_t begun_ms)
{
    struct ctl_output output;
    char took[DURATION_SIZE];

    if (ctl_output_open(&output, file, force) != 0 ||
        ctl_output_write(&output, page->html, page->length) != 0 ||
        ctl_output_finish(&output) != 0) {
        if (!ctl_work_stopped()) {
            ctl_say("%s", output.problem);
        }
        ctl_output_drop(&output);
        return ctl_work_stopped() ? 1 : EX_CANTCREAT;
    }
    if (file != NULL) {
        printf("%s: %zu device%s, %zu day%s, %.1f MiB, in %s\n", file, page->devices,
               plural_s((int64_t)page->devices), page->days, plural_s((int64_t)page->days),
               (double)page->length / MIB, duration_text(clock_monotonic_ms() - begun_ms, took));
    }
    return EX_OK;
}

static int write_report(const struct ctl_page_request *request, const char *file, bool force)
{
    int64_t begun_ms = clock_monotonic_ms();
    char problem[CTL_PAGE_PROBLEM_SIZE];
    struct ctl_page page;
    int status = ctl_page_make(request, &page, problem, sizeof(problem));

    if (status != EX_OK) {
        ctl_say("%s", problem);
        return status;
    }
    status = write_page(&page, file, force, begun_ms);
    ctl_page_free(&page);
    return status;
}

int ctl_report_request(const struct config *config, const struct ctl_words *words, int64_t now_ms,
                       struct ctl_page_request *out, char problem[CTL_MOMENT_PROBLEM_SIZE])
{
    const char *since = words->since != NULL ? words->since : SINCE_DEFAULT;
    struct ctl_page_request request = {
        .database = ctl_work_reading(config, words->operand_count > 0 ? words->operands[0] : NULL),
        .until_ms = now_ms,
        .group = words->group,
        .device = words->device,
    };
    char reason[CTL_MOMENT_PROBLEM_SIZE];

    if (words->group != NULL && words->device != NULL) {
        snprintf(problem, CTL_MOMENT_PROBLEM_SIZE, "--group and --device exclude each other");
        return -1;
    }
    if (ctl_moment_parse(since, now_ms, &request.since_ms, reason) != 0) {
        snprintf(problem, CTL_MOMENT_PROBLEM_SIZE, "--since: %.*s", CTL_MOMENT_PROBLEM_SIZE - 16,
                 reason);
        return -1;
    }
    if (request.since_ms >= now_ms) {
        snprintf(problem, CTL_MOMENT_PROBLEM_SIZE, "--since: %.100s is not before now", since);
        return -1;
    }
    *out = request;
    return 0;
}

int ctl_report(const struct config *config, const struct ctl_words *words)
{
    struct ctl_page_request request;
    struct ctl_work work;
    char moment[CTL_MOMENT_PROBLEM_SIZE];
    char problem[CTL_OUTPUT_PROBLEM_SIZE];
    const char *file = ctl_output_path(words->output);
    bool force = (words->options & CTL_FORCE) != 0;

    if ((words->options & CTL_SERVE) != 0) {
        return ctl_serve(config, words);
    }
    if (ctl_report_request(config, words, clock_wall_ms(), &request, moment) != 0) {
        ctl_say("report: %s", moment);
        return EX_USAGE;
    }
    if (words->output == NULL && isatty(STDOUT_FILENO) == 1) {
        ctl_say("report: --output FILE is missing, or --serve: the page is not for a terminal");
        return EX_USAGE;
    }
    ctl_work_begin(&work);
    if (file != NULL &&
        ctl_output_check(config, request.database.path, file, "the report", force, problem) != 0) {
        ctl_say("%s", problem);
        return EX_CANTCREAT;
    }
    return write_report(&request, file, force);
}
