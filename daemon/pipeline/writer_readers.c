/*
 * Reports readers that keep the WAL from being restarted.
 *
 * A read transaction that stays open makes the WAL grow with every message, until the disk is full.
 * The writer checks once a second for such a reader, and reports it from a WAL of 256 MiB on: in
 * the log at the beginning, then more and more rarely, and at the end; and in the status. Nothing
 * is done to the reader. The kernel tells its process id; its name may be hidden from the daemon
 * (ProtectProc= of the unit), so foxtrackrctl looks it up itself.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/process_name.h"
#include "pipeline/writer_internal.h"

#define MIB (INT64_C(1024) * 1024)

static void say_held(const struct store_reader *reader, int64_t wal_bytes)
{
    const struct log_fields fields = {.id = LOG_ID_WAL_HELD};
    char process[PROCESS_TEXT_SIZE];
    char age[DURATION_SIZE];

    log_line_fields(
        LOG_WARNING, &fields,
        "database: a reader keeps the write-ahead log from being emptied; it has %" PRId64
        " MiB: %s, for %s at least; end its transaction",
        wal_bytes / MIB, process_text(reader->pid, NULL, process),
        duration_text(reader->for_ms, age));
}

void writer_look_at_readers(struct writer *writer, const struct store_measures *measures)
{
    const struct log_fields fields = {.id = LOG_ID_WAL_HELD};
    const uint64_t any_text = 1; /* for every line, because the age in it differs each time */
    int64_t wal_bytes = measures->wal_used_bytes;
    unsigned left_out = 0;
    struct store_reader reader = measures->reader;

    reader.held = reader.held && wal_bytes > WRITER_WAL_HELD;
    if (reader.held &&
        log_cause_admit(&writer->reader_cause, any_text, clock_monotonic_ms(), &left_out)) {
        say_held(&reader, wal_bytes);
        writer->reader_said = true;
    } else if (!reader.held && writer->reader_said) {
        log_line_fields(LOG_NOTICE, &fields,
                        "database: no reader keeps the write-ahead log any more");
        log_cause_over(&writer->reader_cause);
        writer->reader_said = false;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->status.reader = reader;
    pthread_mutex_unlock(&writer->mutex);
}
