/*
 * The writer's work between batches: checks the disk, reads the database's summary for status,
 * counts the devices that need attention (pipeline/writer_attention.c), stores quarantined messages
 * whose time was in the future and has come (pipeline/writer_rejudge.c), deletes old rows in short
 * transactions of their own (pipeline/writer_expire.c), and waits when space is short.
 */
#include "pipeline/writer_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/upkeep.h"

#define SPACE_PERIOD_MS       1000
#define SPACE_POLL_MS         100
#define BUSY_PERIOD_MS        500
#define SPACE_MARGIN          8 /* an eighth of min_free_mb */
#define SUMMARY_PERIOD_MS     600000
#define SUMMARY_FIRST_MS      10000   /* after another program's change, when idle */
#define SUMMARY_LAST_MS       3600000 /* even when never idle */
#define MIB                   (INT64_C(1024) * 1024)
#define SPACE_TO_WORK         MIB         /* below this even deleting is not tried */
#define SPACE_WAL_BYTES       (2 * MIB)   /* a larger WAL is moved and truncated meanwhile */
#define SPACE_SCARCE          (256 * MIB) /* below this the space is checked before every batch */
#define SPACE_BYTES_A_MESSAGE (INT64_C(32) * 1024) /* of WAL: a message changes few pages */

/*
 * Limits a batch to the free space. A transaction that does not fit would leave a WAL that fills
 * the disk, with no space for the database to grow, and would be tried again with the same size for
 * ever. An eighth of the space at most: moving the log makes the database grow.
 */
uint64_t writer_batch_limit(const struct writer *writer)
{
    int64_t fits = writer->free_bytes / 8 / SPACE_BYTES_A_MESSAGE;
    int64_t most = writer->limits.batch_max;

    most = fits < most ? fits : most;
    return most > 1 ? (uint64_t)most : 1;
}

/* With the mutex. */
void writer_note_entries(struct writer *writer)
{
    int64_t entries = store_quarantine_entries(writer->parts.store);

    if (entries >= 0) {
        writer->status.summary.quarantine_entries = (uint64_t)entries;
    }
}

/* Returns true when another program has changed the database since the last summary: foxtrackrctl
 * replay may have emptied quarantine. */
static bool others_changed(struct writer *writer)
{
    int64_t version = writer->summary_version;

    return store_version_of_others(writer->parts.store, &version) == STORE_OK &&
           version != writer->summary_version;
}

/*
 * Reads the database's summary for status: at the start, after a new session, and while no message
 * waits if it may have changed. The writer's own changes of quarantine are counted as they happen.
 * An error is ignored: status then keeps the earlier summary.
 */
bool writer_look_at_content(struct writer *writer, bool idle)
{
    int64_t age_ms = clock_monotonic_ms() - writer->summary_ms;
    struct store_summary summary;
    int result;

    writer->summary_due |= age_ms >= SUMMARY_LAST_MS;
    writer->summary_due |= idle && (age_ms >= SUMMARY_PERIOD_MS ||
                                    (age_ms >= SUMMARY_FIRST_MS && others_changed(writer)));
    if (!writer->summary_due) {
        return true;
    }
    writer->summary_due = false;
    writer->summary_ms = clock_monotonic_ms();
    result = store_version_of_others(writer->parts.store, &writer->summary_version);
    if (result == STORE_OK) {
        result = store_summary(writer->parts.store, &summary);
    }
    if (result == STORE_OK) {
        pthread_mutex_lock(&writer->mutex);
        writer->status.summary = summary;
        writer->status.summary_known = true;
        pthread_mutex_unlock(&writer->mutex);
        writer_attention_want(&writer->attention);
    } else if (result < 0) {
        writer_fail(writer, result, store_error(writer->parts.store));
    }
    return result >= 0;
}

/* Counts some devices if it is time for that. An error is ignored: status then keeps the earlier
 * counts. False ends the thread. */
bool writer_look_at_devices(struct writer *writer, bool idle)
{
    struct writer_attention *attention = &writer->attention;
    uint64_t received = writer->status.counts.received;
    int result;

    if (!writer_attention_due(attention, idle, received)) {
        return true;
    }
    result = writer_attention_chunk(attention, writer->parts.store, received);
    if (result < 0) {
        writer_fail(writer, result, store_error(writer->parts.store));
    } else if (result != STORE_OK) {
        log_line_limited(&writer->attention_cause, LOG_WARNING, NULL, "database: %s",
                         store_error(writer->parts.store));
    } else if (!attention->active && attention->known) {
        pthread_mutex_lock(&writer->mutex);
        writer->status.attention = attention->last;
        writer->status.attention_known = true;
        pthread_mutex_unlock(&writer->mutex);
    }
    return result >= 0;
}

/* Lets the store do its own work while no message waits. False ends the thread. */
bool writer_idle(struct writer *writer)
{
    int result;

    writer->idle_ms = clock_monotonic_ms();
    result = store_idle(writer->parts.store, &writer->idle_again_ms);
    if (result < 0) {
        writer_fail(writer, result, store_error(writer->parts.store));
    } else if (result != STORE_OK) {
        writer->idle_said = log_line_limited(&writer->idle_cause, LOG_WARNING, NULL,
                                             "database: work in idle time is put off: %s",
                                             store_error(writer->parts.store)) ||
                            writer->idle_said;
    } else if (writer->idle_said) {
        log_notice("database: work in idle time goes on");
        writer->idle_said = false;
        log_cause_over(&writer->idle_cause);
    }
    return result >= 0;
}

/* Messages that keep coming leave no idle time: the store gets a little all the same, a few
 * milliseconds twice a second, but not in a catch-up. False ends the thread. */
bool writer_idle_though_busy(struct writer *writer)
{
    return clock_monotonic_ms() - writer->idle_ms < BUSY_PERIOD_MS ||
           store_sorts_in(writer->parts.store) || writer_idle(writer);
}

/*
 * Logs a second name (hard link) of the database. Made while the database is in use, it does no
 * harm by itself, and may be a backup program's for a moment. The next start refuses it.
 */
static void look_at_names(struct writer *writer, unsigned links)
{
    if (links == writer->links || links == 0) {
        return;
    }
    if (links > 1) {
        log_error("%s: has %u names (hard links) now; a program that opens it by another name "
                  "destroys it, and foxtrackrd does not start with it: remove the others (find "
                  "-samefile lists them)",
                  writer->database_path, links);
    } else if (writer->links > 1) {
        log_notice("%s: has one name again", writer->database_path);
    }
    writer->links = links;
}

/* Checks the free space and the files, once a second; before every batch when space is scarce.
 * False ends the thread. */
bool writer_look_at_space(struct writer *writer)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t period_ms = writer->free_bytes < SPACE_SCARCE ? 0 : SPACE_PERIOD_MS;
    struct store_measures measures;
    int result;

    if (now_ms - writer->space_checked_ms < period_ms) {
        return true;
    }
    result = store_measure(writer->parts.store, &measures);
    if (measures.free_bytes >= 0) {
        writer->space_checked_ms = now_ms;
        writer->free_bytes = measures.free_bytes;
        look_at_names(writer, measures.names);
        pthread_mutex_lock(&writer->mutex);
        writer->status.free_bytes = measures.free_bytes;
        writer->status.database_bytes = measures.database_bytes;
        writer->status.wal_bytes = measures.wal_bytes;
        writer->status.used_bytes = measures.used_bytes;
        writer->status.link = measures.link;
        pthread_mutex_unlock(&writer->mutex);
        writer_look_at_readers(writer, &measures);
    }
    if (result < 0) {
        writer_fail(writer, result, store_error(writer->parts.store));
    }
    return result >= 0;
}

/* Returns true when there is space for messages. After a stop for lack of space, an eighth more is
 * required, because each change between the two states severs the sessions' links. */
bool writer_space_left(const struct writer *writer)
{
    int64_t need = writer->limits.min_free_mb * MIB;

    return writer->free_bytes >= need + (writer->for_space ? need / SPACE_MARGIN : 0);
}

bool writer_chore_failed(struct writer *writer, struct log_cause *cause, int result,
                         const char *what)
{
    struct store *store = writer->parts.store;
    char reason[WRITER_REASON_SIZE];

    snprintf(reason, sizeof(reason), "%s", store_error(store));
    if (result < 0 || store_rollback(store) != STORE_OK) {
        writer_fail(writer, result, result < 0 ? reason : store_error(store));
        return false;
    }
    log_line_limited(cause, LOG_WARNING, NULL, "database: %s: %s", what, reason);
    return true;
}

/* Parses some of the messages that are in quarantine because of their time again, and stores those
 * that are valid now, in one transaction. After an error that may pass it is logged, and retention
 * waits. Returns false after a fatal error: the writer's thread ends. */
static bool rejudge(struct writer *writer)
{
    int result = writer_rejudge_chunk(&writer->rejudge, writer->parts.store, &writer->limits,
                                      writer->status.quarantined[FOXTRACKR_E_TIME]);

    if (result != STORE_OK) {
        writer_expire_postpone(&writer->expire);
        return writer_chore_failed(writer, &writer->expire_cause, result,
                                   "messages stay in quarantine for the moment");
    }
    pthread_mutex_lock(&writer->mutex);
    writer->status.rejudged = writer->rejudge.moved_all;
    writer_note_entries(writer);
    pthread_mutex_unlock(&writer->mutex);
    return true;
}

/* Retention begins a pass only after one through quarantine; see pipeline/writer_rejudge.c. While
 * the clock is not believed there is none, and without space it cannot be written; then nothing of
 * quarantine is deleted. */
static bool retention_may_work(struct writer *writer)
{
    struct writer_expire *expire = &writer->expire;

    if (!expire->active) {
        bool judged = writer_rejudge_done_since(&writer->rejudge, expire->next_pass_ms);

        expire->spare_quarantine = !judged;
        return judged || writer->for_space || !writer_rejudge_believes(&writer->rejudge);
    }
    return true;
}

int writer_chores_wait_ms(const struct writer *writer, int limit_ms)
{
    int64_t wait_ms = writer->rejudge.rest_until - clock_monotonic_ms();

    limit_ms = writer_attention_wait_ms(&writer->attention, limit_ms);
    if (!writer->rejudge.active) {
        return writer_expire_wait_ms(&writer->expire, limit_ms);
    }
    return wait_ms < 0 ? 0 : wait_ms < limit_ms ? (int)wait_ms : limit_ms;
}

/*
 * Before the first message of a run, status shows the newest reading in the database, which the
 * survey at the beginning of every pass finds. Messages replace it. With the mutex held.
 */
static void note_newest_reading(struct writer *writer)
{
    const struct store_newest *newest = &writer->expire.survey.newest;

    if (writer->status.newest_time_ms == 0 && newest->done && newest->devices > 0) {
        writer->status.newest_time_ms = newest->first_ms;
    }
}

/*
 * Does a chunk of retention, or of judging quarantine again, if one is due. Its error does not stop
 * messages: the next batch meets the error itself if the disk is at fault. False ends the thread.
 */
bool writer_delete_old(struct writer *writer)
{
    struct store *store = writer->parts.store;
    struct store_expired expired;
    int result;

    if (!writer->for_space &&
        writer_rejudge_due(&writer->rejudge, writer->status.quarantined[FOXTRACKR_E_TIME])) {
        return rejudge(writer);
    }
    if (writer_expire_wait_ms(&writer->expire, 1) > 0 || !retention_may_work(writer)) {
        return true;
    }
    result = writer_expire_chunk(&writer->expire, store, &writer->limits, &expired);
    if (result != STORE_OK) {
        return writer_chore_failed(writer, &writer->expire_cause, result,
                                   "old rows stay for the moment");
    }
    writer->rejudge.agreed_ms = writer->expire.survey.agreed_ms;
    if (expired.done && writer->for_space && store_shrink(store) == STORE_FATAL) {
        writer_fail(writer, STORE_FATAL, store_error(store));
        return false;
    }
    pthread_mutex_lock(&writer->mutex);
    for (int i = 0; i < STORE_TABLES; i++) {
        writer->status.expired += expired.rows[i];
        writer->status.expired_by_table[i] += expired.rows[i];
    }
    writer->status.expire_longest_us = writer->expire.longest_us;
    writer_survey_waits(&writer->expire.survey, writer->status.waits);
    note_newest_reading(writer);
    writer_note_entries(writer);
    pthread_mutex_unlock(&writer->mutex);
    return true;
}

/*
 * While space is short: truncates the WAL. If readers keep it from being restarted, each deletion
 * makes it grow and uses up the remaining space. False ends the thread.
 */
static bool truncate_wal(struct writer *writer)
{
    int64_t now_ms = clock_monotonic_ms();
    struct store_measures measures;
    int result;

    if (now_ms - writer->wal_cut_ms < SPACE_POLL_MS) {
        return true;
    }
    result = store_measure(writer->parts.store, &measures);
    if (result >= 0 && measures.wal_bytes <= SPACE_WAL_BYTES) {
        return true;
    }
    if (result < 0 || store_shrink(writer->parts.store) == STORE_FATAL) {
        writer_fail(writer, result, store_error(writer->parts.store));
        return false;
    }
    writer->wal_cut_ms = clock_monotonic_ms();
    writer->space_checked_ms = INT64_MIN / 2; /* check again at once */
    return true;
}

/*
 * Below min_free_mb: accepts no messages, checks the space every second, and meanwhile gives the
 * database's unused pages back. That writes to the WAL first and needs some space; the part below
 * min_free_mb is enough. The links are severed once; main keeps the sessions from connecting while
 * the writer is stalled. A stop ends it. False ends the thread.
 */
bool writer_wait_for_space(struct writer *writer)
{
    char reason[WRITER_REASON_SIZE];

    if (!writer->for_space) {
        snprintf(reason, sizeof(reason),
                 "fewer than min_free_mb = %d MiB are free on the file system of %s: make room "
                 "there or lower database.min_free_mb",
                 writer->limits.min_free_mb, writer->database_path);
        writer_stall(writer, reason);
        writer->for_space = true;
        writer_expire_restart(&writer->expire, true);
    }
    if (writer_leave(writer)) {
        return false;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->status.retry_at_ms = writer->space_checked_ms + SPACE_PERIOD_MS;
    pthread_mutex_unlock(&writer->mutex);
    if (!truncate_wal(writer)) {
        return false;
    }
    if (writer->free_bytes < SPACE_TO_WORK ||
        writer_expire_wait_ms(&writer->expire, SPACE_POLL_MS) > 0) {
        (void)intake_wait_closed(writer->parts.intake, SPACE_POLL_MS);
        return true;
    }
    return writer_delete_old(writer);
}

/* Leaves the state "waiting for free space". */
void writer_end_wait_for_space(struct writer *writer)
{
    if (writer->for_space) {
        writer->for_space = false;
        writer_expire_restart(&writer->expire, false);
        pthread_mutex_lock(&writer->mutex);
        writer->status.retry_at_ms = 0;
        pthread_mutex_unlock(&writer->mutex);
    }
}
