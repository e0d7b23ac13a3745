/*
 * Writes the result of a command to a file or to standard output.
 *
 * A file gets its name last, after it was synced: whoever finds the name finds all of it. It is
 * made with another name in the same directory, exclusively, so that nothing is overwritten and no
 * symbolic link is followed; a kill leaves that unfinished file. Every error of a write is told:
 * a full disk, a limit, a pipe whose reader has gone.
 */
#include "ctl/output_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error_text.h"
#include "base/path_identity.h"
#include "ctl/work_internal.h"

static const char *name_of(const struct ctl_output *output)
{
    return output->path != NULL ? output->path : "standard output";
}

static int failed(struct ctl_output *output, const char *doing, int error)
{
    if (error == EPIPE) {
        snprintf(output->problem, sizeof(output->problem),
                 "%s: its reader has closed it, before the end", name_of(output));
    } else if (error == ENOENT) {
        snprintf(output->problem, sizeof(output->problem),
                 "%.900s: cannot be %s: its directory is not there; make it", name_of(output),
                 doing);
    } else {
        snprintf(output->problem, sizeof(output->problem), "%.900s: cannot be %s: %s",
                 name_of(output), doing, error_text(error));
    }
    return -1;
}

/* Opens PATH.part with a number behind it: the first name that is not taken. */
static int open_part(struct ctl_output *output)
{
    for (int number = 0; number < 100; number++) {
        if (asprintf(&output->part, "%s.part%d", output->path, number) < 0) {
            output->part = NULL;
            return failed(output, "written", ENOMEM);
        }
        output->fd = open(output->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (output->fd >= 0) {
            return 0;
        }
        free(output->part);
        output->part = NULL;
        if (errno != EEXIST) {
            break;
        }
    }
    return failed(output, "written", errno);
}

const char *ctl_output_path(const char *word)
{
    return word == NULL || strcmp(word, "-") == 0 ? NULL : word;
}

static bool is_of_database(const char *database, const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    struct path_identity target;

    path_identity(path, "", false, &target);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        struct path_identity file;

        path_identity(database, suffixes[i], false, &file);
        if (path_identity_same(&file, &target)) {
            return true;
        }
    }
    return false;
}

int ctl_output_check(const struct config *config, const char *database, const char *path,
                     const char *what, bool replace, char problem[CTL_OUTPUT_PROBLEM_SIZE])
{
    char paths[CONFIG_PROBLEM_SIZE];
    struct stat status;

    if (config != NULL && paths_check_target(config, path, what, paths) != 0) {
        snprintf(problem, CTL_OUTPUT_PROBLEM_SIZE, "%s", paths);
        return -1;
    }
    if (is_of_database(database, path)) {
        snprintf(problem, CTL_OUTPUT_PROBLEM_SIZE,
                 "%.500s: is a file of the database; choose another name for %s", path, what);
        return -1;
    }
    if (stat(path, &status) != 0) {
        if (errno == ENOENT) {
            return 0;
        }
        snprintf(problem, CTL_OUTPUT_PROBLEM_SIZE, "%.500s: cannot be used: %s", path,
                 error_text(errno));
        return -1;
    }
    if (S_ISREG(status.st_mode) && !replace) {
        snprintf(problem, CTL_OUTPUT_PROBLEM_SIZE,
                 "%.500s: is there already; choose another name, or --force to replace it", path);
        return -1;
    }
    return 0;
}

int ctl_output_open(struct ctl_output *output, const char *path, bool replace)
{
    struct stat status;

    *output = (struct ctl_output){.path = path, .replace = replace, .fd = -1};
    signal(SIGPIPE, SIG_IGN); /* an error of write(), which is told */
    if (path == NULL) {
        output->fd = STDOUT_FILENO;
        output->terminal = isatty(output->fd) == 1;
        return 0;
    }
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        output->fd = open(path, O_WRONLY | O_CLOEXEC);
        output->terminal = output->fd >= 0 && isatty(output->fd) == 1;
        return output->fd >= 0 ? 0 : failed(output, "written", errno);
    }
    return open_part(output);
}

char *ctl_output_room(struct ctl_output *output, size_t size)
{
    if (size > output->size - output->length) {
        size_t wanted = 2 * (output->length + size);
        char *more = realloc(output->buffer, wanted);

        if (more == NULL) {
            failed(output, "written", ENOMEM);
            return NULL;
        }
        output->buffer = more;
        output->size = wanted;
    }
    return output->buffer + output->length;
}

static int write_all(struct ctl_output *output, const char *bytes, size_t length)
{
    size_t at = 0;

    while (at < length) {
        ssize_t wrote = write(output->fd, bytes + at, length - at);

        if (wrote < 0 && (errno != EINTR || ctl_work_stopped())) {
            return failed(output, "written", errno);
        }
        if (wrote > 0) {
            at += (size_t)wrote;
            output->written += wrote;
        }
    }
    return 0;
}

int ctl_output_flush(struct ctl_output *output)
{
    int result = write_all(output, output->buffer, output->length);

    output->length = 0;
    return result;
}

int ctl_output_write(struct ctl_output *output, const char *bytes, size_t length)
{
    int result = ctl_output_flush(output);

    return result == 0 ? write_all(output, bytes, length) : result;
}

/* Gives the file its name. Without `replace` a file that was made meanwhile stays; on a file system
 * without such a rename (NFS) by a second link. */
static int give_name(const struct ctl_output *output)
{
    unsigned flags = output->replace ? 0 : RENAME_NOREPLACE;

    if (renameat2(AT_FDCWD, output->part, AT_FDCWD, output->path, flags) == 0) {
        return 0;
    }
    if (output->replace || (errno != EINVAL && errno != ENOSYS) ||
        link(output->part, output->path) != 0) {
        return -1;
    }
    unlink(output->part);
    return 0;
}

static void release(struct ctl_output *output)
{
    if (output->part != NULL) {
        unlink(output->part);
    }
    if (output->fd >= 0 && output->path != NULL) {
        close(output->fd);
    }
    free(output->part);
    free(output->buffer);
    output->part = NULL;
    output->buffer = NULL;
    output->fd = -1;
}

int ctl_output_finish(struct ctl_output *output)
{
    int result = ctl_output_flush(output);

    if (result == 0 && output->part != NULL && fsync(output->fd) != 0) {
        result = failed(output, "synced", errno);
    }
    if (result == 0 && output->part != NULL) {
        if (give_name(output) == 0) {
            free(output->part);
            output->part = NULL;
        } else {
            result = failed(output, "given its name", errno);
        }
    }
    release(output);
    return result;
}

void ctl_output_drop(struct ctl_output *output)
{
    release(output);
}
