/*
 * `foxtrackrctl report`: writes the page of ctl/page_internal.h to a file or to standard output.
 *
 * A file gets its name when it is complete: it is written beside it, synced and renamed. An
 * existing file is replaced only with --force.
 */
#include "ctl/report_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/error_text.h"
#include "base/path_identity.h"
#include "base/plural.h"
#include "ctl/moment_internal.h"
#include "ctl/page_internal.h"
#include "ctl/say_internal.h"
#include "ctl/serve_internal.h"
#include "ctl/work_internal.h"

#define SINCE_DEFAULT   "30d"
#define BUSY_TIMEOUT_MS 5000 /* used without a configuration */
#define MIB             1048576.0

/* Says why a file cannot be written. */
static int refuse(const char *file, const char *doing, int error)
{
    ctl_say("%s: cannot %s: %s", file, doing, error_text(error));
    return EX_CANTCREAT;
}

/* Checks a file that is to be made, before any work is done. Returns the exit status. */
static int check_target(const struct config *config, const struct ctl_page_request *request,
                        const char *file, bool force)
{
    char problem[CONFIG_PROBLEM_SIZE];
    struct path_identity database;
    struct path_identity target;
    struct stat status;

    if (config != NULL && (paths_check(config, problem) != 0 ||
                           paths_check_target(config, file, "the report", problem) != 0)) {
        ctl_say("%s", problem);
        return EX_CANTCREAT;
    }
    path_identity(request->path, "", false, &database);
    path_identity(file, "", false, &target);
    if (path_identity_same(&database, &target)) {
        ctl_say("%s: is the database; choose another name for the report", file);
        return EX_CANTCREAT;
    }
    if (stat(file, &status) != 0) {
        return errno == ENOENT ? EX_OK : refuse(file, "be used", errno);
    }
    if (!S_ISREG(status.st_mode)) {
        ctl_say("%s: is not a regular file; give the name of a file, or - for standard output",
                file);
        return EX_CANTCREAT;
    }
    if (!force) {
        ctl_say("%s: is there already; choose another name, or --force to replace it", file);
        return EX_CANTCREAT;
    }
    return EX_OK;
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);

        if (written < 0 && errno != EINTR) {
            return -1;
        }
        if (ctl_work_stopped()) {
            errno = EINTR;
            return -1;
        }
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

/* Gives the file its name. Without `force`, a file created meanwhile is not replaced; on a file
 * system without such a rename (NFS) by a second link. */
static int rename_file(const char *temporary, const char *file, bool force)
{
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, file, force ? 0 : RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (force || (errno != EINVAL && errno != ENOSYS) || link(temporary, file) < 0) {
        return -1;
    }
    unlink(temporary);
    return 0;
}

/* The modes of a file follow the umask, as those of any program's output. */
static int write_file(const struct ctl_page *page, const char *file, bool force)
{
    char temporary[PATH_MAX];
    int error = 0;
    int fd;

    if (snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", file, (long)getpid()) >=
        (int)sizeof(temporary)) {
        return refuse(file, "be written", ENAMETOOLONG);
    }
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) {
        return refuse(file, "be written", errno);
    }
    if (write_all(fd, page->html, page->length) != 0 || fsync(fd) != 0) {
        error = errno;
    }
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && rename_file(temporary, file, force) != 0) {
        error = errno;
    }
    if (error != 0) {
        unlink(temporary);
        return error == EINTR ? 1 : refuse(file, "be written", error);
    }
    return EX_OK;
}

static int write_output(const struct ctl_page *page)
{
    if (write_all(STDOUT_FILENO, page->html, page->length) != 0) {
        return errno == EINTR ? 1 : refuse("standard output", "be written", errno);
    }
    return EX_OK;
}

static int write_report(const struct ctl_page_request *request, const char *file, bool force)
{
    int64_t begun_ms = clock_monotonic_ms();
    char problem[CTL_PAGE_PROBLEM_SIZE];
    char took[DURATION_SIZE];
    struct ctl_page page;
    bool is_output = strcmp(file, "-") == 0;
    int status = ctl_page_make(request, &page, problem, sizeof(problem));

    if (status != EX_OK) {
        ctl_say("%s", problem);
        return status;
    }
    status = is_output ? write_output(&page) : write_file(&page, file, force);
    if (status == EX_OK && !is_output) {
        printf("%s: %zu device%s, %zu day%s, %.1f MiB, in %s\n", file, page.devices,
               plural_s((int64_t)page.devices), page.days, plural_s((int64_t)page.days),
               (double)page.length / MIB, duration_text(clock_monotonic_ms() - begun_ms, took));
    }
    ctl_page_free(&page);
    return status;
}

int ctl_report_request(const struct config *config, const struct ctl_words *words, int64_t now_ms,
                       struct ctl_page_request *out, char problem[CTL_MOMENT_PROBLEM_SIZE])
{
    const char *since = words->since != NULL ? words->since : SINCE_DEFAULT;
    struct ctl_page_request request = {
        .path = words->operand_count > 0 ? words->operands[0] : config->database.path,
        .busy_timeout_ms = config != NULL ? config->database.busy_timeout_ms : BUSY_TIMEOUT_MS,
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
    char problem[CTL_MOMENT_PROBLEM_SIZE];
    const char *file = words->output != NULL ? words->output : "-";
    bool force = (words->options & CTL_FORCE) != 0;
    int status = EX_OK;

    if ((words->options & CTL_SERVE) != 0) {
        return ctl_serve(config, words);
    }
    if (ctl_report_request(config, words, clock_wall_ms(), &request, problem) != 0) {
        ctl_say("report: %s", problem);
        return EX_USAGE;
    }
    if (words->output == NULL && isatty(STDOUT_FILENO) == 1) {
        ctl_say("report: --output FILE is missing, or --serve: the page is not for a terminal");
        return EX_USAGE;
    }
    ctl_work_begin(&work);
    if (strcmp(file, "-") != 0) {
        status = check_target(config, &request, file, force);
    }
    return status == EX_OK ? write_report(&request, file, force) : status;
}
