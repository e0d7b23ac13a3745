/*
 * What the status file and the metrics file share: their names for states, and how a file is
 * replaced.
 */
#include "status_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096

const char *status_file_session_state(enum session_state state)
{
    static const char *const names[] = {
        [SESSION_IDLE] = "stopped",          [SESSION_CONNECTING] = "connecting",
        [SESSION_SUBSCRIBED] = "subscribed", [SESSION_PARTIAL] = "partly subscribed",
        [SESSION_WAITING] = "waiting",       [SESSION_PAUSED] = "paused",
    };

    return names[state];
}

const char *status_file_writer_state(enum writer_state state)
{
    static const char *const names[] = {
        [WRITER_RUNNING] = "running", [WRITER_STALLED] = "takes nothing", [WRITER_FATAL] = "failed",
        [WRITER_ENDED] = "stopped",   [WRITER_LEFT] = "stopped",
    };

    return names[state];
}

int status_file_replace(const char *path, int mode, const char *bytes, size_t length)
{
    char temporary[PATH_SIZE];
    int fd;
    int rc = 0;

    if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary)) {
        return -ENAMETOOLONG;
    }
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    /* The umask is for files with data in them; some of these are for other users. */
    if (fchmod(fd, (mode_t)mode) != 0) {
        rc = -errno;
    }
    while (length > 0 && rc == 0) {
        ssize_t written = write(fd, bytes, length);

        if (written < 0) {
            rc = errno == EINTR ? 0 : -errno;
        } else {
            bytes += written;
            length -= (size_t)written;
        }
    }
    if (close(fd) != 0 && rc == 0) {
        rc = -errno;
    }
    if (rc == 0 && rename(temporary, path) != 0) {
        rc = -errno;
    }
    if (rc != 0) {
        unlink(temporary);
    }
    return rc;
}
