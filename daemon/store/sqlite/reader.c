/*
 * Which reader keeps the log from beginning anew.
 *
 * A read transaction of SQLite holds a shared lock on one of five bytes of the index (-shm), each
 * of which has a mark: how much of the log its readers see. The log can begin anew only when nobody
 * holds one of these locks with a mark that is behind. They are POSIX locks, so F_GETLK tells the
 * process id of a holder.
 *
 * The descriptor for these questions is opened once and closed when SQLite has closed the database:
 * closing any descriptor of a file drops all POSIX locks of the process on it. Opening one and
 * asking with F_GETLK drops nothing, and F_GETLK does not tell of the locks of the process that
 * asks.
 *
 * F_GETLK names one holder of a byte, however many there are, and the lock of a short reader looks
 * like that of one that stays. So what counts is a process that is seen again and again with the
 * same mark: a short reader that comes back to a growing log has another mark. The age that is told
 * counts from when it was first seen, so it is about a second too short at most, and begins anew
 * with the daemon.
 *
 * A holder in another process id namespace (a container, or the host of ours) has the number 0, or
 * one that means something else there; only the kernel of a network file system has no answer at
 * all. Then it is told that a reader is there, and not which.
 *
 * The layout is part of SQLite's file format (walformat.html, "WAL-Index File Format"): 96 bytes of
 * two headers, nBackfill, five marks, and then the lock bytes, of which the fourth to the eighth
 * are the readers'.
 */
#include "store/sqlite/reader_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INFO_OFFSET      96 /* nBackfill, then the marks */
#define READ_LOCK_OFFSET (INFO_OFFSET + 4 + 4 * STORE_READ_MARKS + 3)

bool store_readers_open(struct store_readers *readers, const char *path)
{
    char *index_path;

    if (asprintf(&index_path, "%s-shm", path) < 0) {
        return false;
    }
    readers->fd = open(index_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    free(index_path);
    return readers->fd >= 0;
}

void store_readers_close(struct store_readers *readers)
{
    if (readers->fd >= 0) {
        close(readers->fd);
        readers->fd = -1;
    }
}

/* Whether another process holds the read lock `i`, and which. */
static bool ask_lock(int fd, int i, pid_t *pid)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = READ_LOCK_OFFSET + i, .l_len = 1};

    if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type != F_RDLCK) {
        return false; /* an exclusive one is held for a moment, to set the mark */
    }
    *pid = lock.l_pid > 0 ? lock.l_pid : 0;
    return true;
}

void store_readers_look(struct store_readers *readers, int64_t now_ms, struct store_reader *out)
{
    uint32_t info[1 + STORE_READ_MARKS] = {0};

    *out = (struct store_reader){.held = false};
    if (readers->fd < 0 ||
        pread(readers->fd, info, sizeof(info), INFO_OFFSET) != (ssize_t)sizeof(info)) {
        return;
    }
    for (int i = 0; i < STORE_READ_MARKS; i++) {
        /* Readers of the first byte see the database alone, as far as the log has moved. */
        uint32_t mark = i == 0 ? info[0] : info[1 + i];
        bool before = readers->marks[i].held && readers->marks[i].mark == mark;
        pid_t pid = 0;
        bool held = ask_lock(readers->fd, i, &pid);

        if (held && !(before && readers->marks[i].pid == pid)) {
            readers->marks[i].since_ms = now_ms;
        }
        readers->marks[i].held = held;
        readers->marks[i].pid = pid;
        readers->marks[i].mark = mark;
        if (held && (!out->held || now_ms - readers->marks[i].since_ms > out->for_ms)) {
            *out = (struct store_reader){
                .held = true, .pid = pid, .for_ms = now_ms - readers->marks[i].since_ms};
        }
    }
}
