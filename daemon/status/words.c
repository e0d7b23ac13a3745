/*
 * The state of a snapshot: one of a few names, and a sentence that begins with it, for systemd's
 * STATUS=, the status file and the log.
 */
#include "status/words_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/escape.h"
#include "base/moment.h"

#define RECENT_QUIET_MS 60000

/* Returns the session whose problem is the most urgent, or NULL when all are subscribed. */
static const struct session_status *neediest(const struct status_snapshot *now, unsigned *index)
{
    const struct session_status *found = NULL;

    for (unsigned i = 0; i < now->session_count; i++) {
        const struct session_status *session = &now->sessions[i];

        if (session->state != SESSION_SUBSCRIBED &&
            (found == NULL || (found->reason[0] == '\0' && session->reason[0] != '\0'))) {
            found = session;
            *index = i;
        }
    }
    return found;
}

static const char *state_in_words(const struct status_snapshot *now)
{
    unsigned index;
    const struct session_status *session = neediest(now, &index);

    if (now->writer.state == WRITER_FATAL) {
        return "database failed";
    }
    if (now->writer.state == WRITER_LOST) {
        return "another daemon has the sessions";
    }
    if (now->writer.state == WRITER_STALLED) {
        return "database takes nothing";
    }
    if (now->disk_wait_ms >= WATCHDOG_WAIT_WORTH_SAYING_MS) {
        return "waiting for the disk";
    }
    if (session == NULL && now->clock_behind) {
        return "clock behind";
    }
    if (session == NULL && now->latest.most) {
        return "most in quarantine";
    }
    if (session == NULL) {
        return now->catching_up ? "catching up" : "subscribed";
    }
    if (now->subscribed > 0 || session->state == SESSION_PARTIAL) {
        return "partly subscribed";
    }
    return session->state == SESSION_CONNECTING ? "connecting" : "not connected";
}

static void append(char *text, const char *addition)
{
    size_t length = strlen(text);

    snprintf(text + length, STATUS_TEXT_SIZE - length, "%s", addition);
}

/* Describes why a session is not subscribed, and when it tries again. */
static void describe_trouble(const struct status_snapshot *now, const struct config *config,
                             char *text)
{
    char part[SESSION_REASON_SIZE + 128];
    char wait[DURATION_SIZE];
    char least[MOMENT_SIZE];
    unsigned index = 0;
    const struct session_status *session = neediest(now, &index);
    int64_t retry_at_ms = 0;

    if (now->writer.state == WRITER_STALLED || now->writer.state == WRITER_FATAL ||
        now->writer.state == WRITER_LOST) {
        snprintf(part, sizeof(part), ": %s", now->writer.reason);
        append(text, part);
        retry_at_ms = now->writer.state == WRITER_STALLED ? now->writer.retry_at_ms : 0;
    } else if (now->disk_wait_ms >= WATCHDOG_WAIT_WORTH_SAYING_MS) {
        snprintf(part, sizeof(part), " for %s", duration_text(now->disk_wait_ms, wait));
        append(text, part);
    } else if (session == NULL && now->clock_behind) {
        snprintf(part, sizeof(part), ": it is %s at least: set the system's clock",
                 moment_iso(now->clock_least_ms, least));
        append(text, part);
    } else if (session == NULL && now->latest.most) {
        snprintf(part, sizeof(part), ": %" PRIu64 " of the latest %" PRIu64 " messages, reason %s",
                 now->latest.quarantined, now->latest.messages,
                 foxtrackr_reason_name(now->latest.reason));
        append(text, part);
    } else if (session != NULL && session->reason[0] != '\0') {
        snprintf(part, sizeof(part), ": %s: %s", config->sessions[index].client_id,
                 session->reason);
        append(text, part);
        retry_at_ms = session->state == SESSION_WAITING ? session->retry_at_ms : 0;
    }
    if (retry_at_ms > now->monotonic_ms) {
        snprintf(part, sizeof(part), "; next try in %s",
                 duration_text(retry_at_ms - now->monotonic_ms + 999, wait));
        append(text, part);
    }
}

/* Describes the progress of a catch-up, with "about" for the estimates. */
static void describe_catch_up(const struct status_snapshot *now, char *text)
{
    char part[64 + DURATION_SIZE];
    char left[DURATION_SIZE];

    snprintf(part, sizeof(part), "; %d %%", (int)(now->catch_up.done * 100));
    append(text, part);
    if (now->catch_up.left_ms >= 0) {
        snprintf(part, sizeof(part), ", about %s left", duration_text(now->catch_up.left_ms, left));
        append(text, part);
    }
}

void status_words_describe(struct status_snapshot *now, const struct config *config)
{
    char part[160];
    char waits[STATUS_WAITS_SIZE + 64];
    char duration[DURATION_SIZE];

    now->state = state_in_words(now);
    snprintf(now->text, sizeof(now->text), "%s", now->state);
    if (now->session_count > 1 && now->subscribed < now->session_count) {
        snprintf(part, sizeof(part), " (%u of %u sessions)", now->subscribed, now->session_count);
        append(now->text, part);
    }
    describe_trouble(now, config, now->text);
    if (now->waits[0] != '\0') {
        snprintf(waits, sizeof(waits), "; retention waits %s before it deletes %s",
                 duration_text(now->waits_until_ms - now->monotonic_ms, duration), now->waits);
        append(now->text, waits);
    }
    if (now->rate_per_s >= 0.5) {
        snprintf(part, sizeof(part), "; %.0f msg/s", now->rate_per_s);
        append(now->text, part);
    }
    if (now->lag_ms >= 0 && now->quiet_ms < RECENT_QUIET_MS) {
        snprintf(part, sizeof(part), "; lag %s, pending %" PRIu64,
                 duration_text(now->lag_ms, duration), now->pending);
        append(now->text, part);
        if (now->catching_up) {
            describe_catch_up(now, now->text);
        }
    } else if (now->quiet_ms >= 0) {
        snprintf(part, sizeof(part), "; last message %s ago",
                 duration_text(now->quiet_ms, duration));
        append(now->text, part);
    }
    /* systemd ignores a STATUS= that is not UTF-8 and parses a second line as another field;
     * reasons quote text from brokers, certificates and files. */
    escape_one_line(now->text);
}
