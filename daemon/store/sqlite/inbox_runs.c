/*
 * The sorted runs of a lot, on a scratch file. They let a lot be larger than memory.
 *
 * Each time memory is full, its messages are sorted and written to the file as one run. Sorting the
 * lot in then merges the runs: the next message is the lowest of the runs' heads
 * (store/sqlite/inbox_lot.c).
 *
 * The file holds nothing that the table `inbox` does not, but the order and the parsed rows. So it
 * is never synced, has no name, and ends with the process. Where it cannot be written, lots are
 * smaller.
 *
 * A message in the file: device, n and the size of its row (0: none), in this machine's byte order,
 * then the row as packed by store/sqlite/inbox_rows.c.
 */
#include "store/sqlite/inbox_runs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pulse.h"

#define HEADER 10 /* device, n, size */
#define BUFFER 32768

_Static_assert(HEADER + INBOX_ROW_MOST <= BUFFER, "a message fits a buffer");
_Static_assert(INBOX_ROW_MOST <= UINT16_MAX, "the size of a row fits its place");

bool inbox_runs_make(struct inbox_runs *runs)
{
    *runs = (struct inbox_runs){.fd = -1, .buffers = calloc(INBOX_RUNS, BUFFER)};
    if (runs->buffers == NULL) {
        return false;
    }
    memset(runs->buffers, 0xff, (size_t)INBOX_RUNS * BUFFER);
    for (int i = 0; i < INBOX_RUNS; i++) {
        runs->runs[i].bytes = runs->buffers + (size_t)i * BUFFER;
    }
    return true;
}

void inbox_runs_free(struct inbox_runs *runs)
{
    if (runs->buffers != NULL && runs->fd >= 0) {
        close(runs->fd);
    }
    free(runs->buffers);
    *runs = (struct inbox_runs){.fd = -1};
}

/* Truncates the file. A failure is ignored: the next run overwrites the same bytes. */
static void cut(const struct inbox_runs *runs, off_t end)
{
    pulse_wait_begin();
    (void)!ftruncate(runs->fd, end);
    pulse_wait_end();
}

void inbox_runs_clear(struct inbox_runs *runs)
{
    if (runs->count > 0) {
        cut(runs, 0);
    }
    runs->count = 0;
    runs->end = 0;
}

/* --- writing --------------------------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *bytes, size_t length, off_t at)
{
    while (length > 0) {
        ssize_t written;

        pulse_wait_begin();
        written = pwrite(fd, bytes, length, at);
        pulse_wait_end();
        if (written == 0 || (written < 0 && errno != EINTR)) {
            return written == 0 ? ENOSPC : errno;
        }
        if (written > 0) {
            bytes += written;
            at += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

static size_t put_message(uint8_t *at, const struct inbox_entry *entry, const uint8_t *rows)
{
    const uint8_t *row = rows + entry->row;
    uint16_t size = entry->row != 0 ? (uint16_t)inbox_row_size(row) : 0;

    memcpy(at, &entry->device, 4);
    memcpy(at + 4, &entry->n, 4);
    memcpy(at + 8, &size, 2);
    memcpy(at + HEADER, row, size);
    return HEADER + size;
}

int inbox_runs_write(struct inbox_runs *runs, const struct inbox_entry *entries, uint32_t count,
                     const struct inbox_rows *rows)
{
    struct inbox_run *run = &runs->runs[runs->count];
    size_t gathered = 0;
    off_t end = runs->end;
    int error = 0;

    for (uint32_t i = 0; i < count && error == 0; i++) {
        gathered += put_message(run->bytes + gathered, &entries[i], rows->bytes);
        if (gathered > BUFFER - HEADER - INBOX_ROW_MOST || i + 1 == count) {
            error = write_all(runs->fd, run->bytes, gathered, end);
            end += (off_t)gathered;
            gathered = 0;
        }
    }
    if (error != 0) {
        cut(runs, runs->end);
        return error;
    }
    *run = (struct inbox_run){
        .next = runs->end, .end = end, .base_ms = rows->base_ms, .bytes = run->bytes};
    runs->end = end;
    runs->count++;
    return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

/* Makes sure that `length` bytes of the run, from its next message on, are in its buffer; reads
 * from the file if they are not. Returns 0, an errno, or EBADMSG when the run or the file has fewer
 * bytes, or `length` is more than the buffer. */
static int have(const struct inbox_runs *runs, struct inbox_run *run, off_t length)
{
    off_t left = run->end - run->next;

    if (run->next >= run->from && run->next + length <= run->to) {
        return 0;
    }
    if (length > left || length > BUFFER) {
        return EBADMSG;
    }
    run->from = run->to = run->next;
    while (run->to < run->next + length) {
        off_t room = (left < BUFFER ? left : BUFFER) - (run->to - run->from);
        ssize_t got;

        pulse_wait_begin();
        got = pread(runs->fd, run->bytes + (run->to - run->from), (size_t)room, run->to);
        pulse_wait_end();
        if (got == 0) {
            return EBADMSG;
        }
        if (got < 0 && errno != EINTR) {
            return errno;
        }
        run->to += got > 0 ? got : 0;
    }
    return 0;
}

int inbox_run_head(struct inbox_runs *runs, int index, struct inbox_head *head)
{
    struct inbox_run *run = &runs->runs[index];
    const uint8_t *at;
    uint32_t device;
    uint16_t size;
    int error;

    *head = (struct inbox_head){.device = INBOX_NO_MORE};
    if (run->next == run->end) {
        return 0;
    }
    error = have(runs, run, HEADER);
    if (error != 0) {
        return error;
    }
    memcpy(&size, run->bytes + (run->next - run->from) + 8, 2);
    error = have(runs, run, HEADER + size);
    if (error != 0) {
        return error;
    }
    at = run->bytes + (run->next - run->from);
    memcpy(&device, at, 4);
    memcpy(&head->n, at + 4, 4);
    head->device = device;
    head->row = size > 0 ? at + HEADER : NULL;
    head->base_ms = run->base_ms;
    run->size = HEADER + size;
    return 0;
}

void inbox_run_pass(struct inbox_runs *runs, int index)
{
    runs->runs[index].next += runs->runs[index].size;
}
