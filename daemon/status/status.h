/*
 * Status: what the daemon tells about itself, to systemd (sd_notify), to the status file that
 * `foxtrackrctl status` reads, and to the metrics file. Main's thread only.
 *
 * Everything it shows comes from the snapshots of the writer, the sessions and the gate; it keeps
 * only what needs a past: rates and the progress of a catch-up.
 */
#ifndef STATUS_STATUS_H
#define STATUS_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "gate/gate.h"
#include "pipeline/intake.h"
#include "pipeline/writer.h"
#include "session/session.h"
#include "status/certificates_internal.h"
#include "status/estimate_internal.h"
#include "status/quarantine_share_internal.h"

#define STATUS_TEXT_SIZE  1024
#define STATUS_WAITS_SIZE 256

/* Where to look; all of it outlives the status. */
struct status_sources {
    struct writer *writer;
    struct intake *intake;
    struct gate *gate;
    struct session **sessions; /* by index; entries are never NULL */
    unsigned session_count;
};

/* Everything known at one moment. */
struct status_snapshot {
    int64_t wall_ms;
    int64_t monotonic_ms;
    int64_t started_ms;
    int interval_ms;        /* between two status files */
    int64_t min_free_bytes; /* below it no message is taken */
    struct writer_status writer;
    struct session_status sessions[CONFIG_SESSIONS_MAX];
    int *granted[CONFIG_SESSIONS_MAX]; /* by filter, see session_granted() */
    struct gate_link_status links[CONFIG_SESSIONS_MAX];
    unsigned session_count;
    unsigned subscribed; /* sessions with every filter granted */
    uint64_t pending;    /* messages taken, not yet durable */
    size_t pending_bytes;
    uint64_t unacknowledged; /* QoS 2 messages whose handshake is not over, of all sessions */
    double rate_per_s;       /* messages made durable, over the last seconds */
    struct status_rates rates;
    int64_t lag_ms;   /* age of writer.newest_time_ms; -1: none is known */
    int64_t quiet_ms; /* since writer.last_message_ms; -1: none is known */
    bool catching_up;
    struct status_catch_up catch_up; /* while catching up */
    struct status_growth growth;
    struct status_certificates certificates;
    int64_t writer_age_ms; /* since its thread made a step; the same of the gate's */
    int64_t gate_age_ms;
    bool clock_behind;                  /* see base/wall.h; */
    int64_t clock_least_ms;             /* and what the time is at least; 0: it is not behind */
    char waits[STATUS_WAITS_SIZE];      /* what retention has announced, in words; "": nothing */
    int64_t waits_until_ms;             /* monotonic; the first of them */
    struct quarantine_share_now latest; /* the latest messages, and how many are in quarantine */
    int64_t disk_wait_ms; /* for how long the disk has been busy with one call of ours; 0: not */
    const char *state;    /* in words */
    char text[STATUS_TEXT_SIZE];
    uint64_t strangers; /* connections of other programs to the gate */
};

struct status;

/* Returns 0 and sets *out, for status_free(); or -ENOMEM. `config` outlives it. */
int status_new(struct status **out, const struct config *config,
               const struct status_sources *sources);

/* Removes the status file and the metrics file, if they are those that it wrote: there is nothing
 * to tell any more. NULL is allowed. */
void status_free(struct status *status);

/* Take from a newly loaded configuration what a reload changes: how often the files are written,
 * and the free space that is kept. It is not kept itself. */
void status_reload(struct status *status, const struct config *loaded);

/* Look, and tell what has changed or is due. Called about once a second. */
void status_tick(struct status *status);

/* How long the disk keeps a thread waiting, for the next tick. */
void status_set_disk_wait(struct status *status, int64_t wait_ms);

/* Whether every session was subscribed at the last tick. */
bool status_all_subscribed(const struct status *status);

/* The writer's state at the last tick. */
const struct writer_status *status_writer(const struct status *status);

/* The systemd protocol, sd_notify(3). Outside systemd they do nothing. */
void status_notify_starting(const char *text,
                            int64_t extend_ms); /* READY may take so much longer */
void status_notify_ready(const struct status *status);
void status_notify_reloading(void);
void status_notify_reloaded(void);
void status_notify_stopping(const char *text);

/* Any thread: a sign of life, which the watchdog waits for; and more time to start or stop, counted
 * from now. */
void status_notify_alive(void);
void status_notify_more_time(int64_t more_ms);

/* WatchdogSec= in ms; 0 when there is no watchdog. Any thread. */
int64_t status_watchdog_ms(void);

#endif
