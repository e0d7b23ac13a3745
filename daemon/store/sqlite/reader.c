/*
 * Finds the reader that keeps the WAL from being restarted.
 *
 * A read transaction of SQLite holds a shared lock on one of five bytes of the index (-shm), each
 * of which has a mark: how much of the WAL its readers see. The WAL can be restarted only when no
 * process holds one of these locks with an older mark. They are POSIX locks, so F_GETLK tells the
 * process id of a holder.
 *
 * The descriptor for these questions is opened once and closed when SQLite has closed the database:
 * closing any descriptor of a file drops all POSIX locks of the process on it. Opening one and
 * asking with F_GETLK drops nothing, and F_GETLK does not tell of the locks of the process that
 * asks.
 *
 * F_GETLK names only one holder of a byte, and a short reader's lock looks like a long reader's. So
 * a reader counts when it is seen repeatedly with the same mark: a short reader that returns to a
 * growing WAL has another mark. The reported age counts from when the reader was first seen, so it
 * is at most about a second too short, and starts at 0 with the daemon.
 *
 * A holder in another process id namespace (a container, or our host) has the number 0, or one that
 * means another process here; on a network file system the kernel does not know the holder at all.
 * Then the report says only that there is a reader.
 *
 * The layout is part of SQLite's file format (walformat.html, "WAL-Index File Format"): 96 bytes of
 * two headers, nBackfill, five marks, and then the lock bytes, of which the fourth to the eighth
 * are the readers'.
 */
#include "store/sqlite/reader_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INFO_OFFSET      96 /* nBackfill, then the marks */
#define READ_LOCK_OFFSET (INFO_OFFSET + 4 + 4 * STORE_READ_MARKS + 3)

void store_readers_open(struct store_readers *readers, const char *path)
{
    char *index_path;

    if (asprintf(&index_path, "%s-shm", path) < 0) {
        readers->error = ENOMEM;
        return;
    }
    readers->fd = open(index_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    readers->error = readers->fd < 0 ? errno : 0;
    free(index_path);
}

void store_readers_close(struct store_readers *readers)
{
    if (readers->fd >= 0) {
        close(readers->fd);
        readers->fd = -1;
    }
}

/* Returns true when another process holds the read lock `i`, and sets *pid. */
static bool ask_lock(int fd, int i, pid_t *pid)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = READ_LOCK_OFFSET + i, .l_len = 1};

    if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type != F_RDLCK) {
        return false; /* an exclusive lock is held briefly, to set the mark */
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
        /* Readers of the first byte use the database file only, up to the last checkpoint. */
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
