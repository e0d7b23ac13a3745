/* A snapshot of the daemon's status, and its forms as JSON and as metrics. Main's thread only.
 */
#ifndef STATUS_FILE_INTERNAL_H
#define STATUS_FILE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/own_file.h"
#include "config/config.h"
#include "gate/gate.h"
#include "pipeline/pipeline.h"
#include "session/session.h"
#include "status/certificates_internal.h"
#include "status/estimate_internal.h"
#include "status/quarantine_share_internal.h"
#include "status/status.h"

#define STATUS_TEXT_SIZE  1024
#define STATUS_WAITS_SIZE 256

/* The daemon's status at one moment. */
struct status_snapshot {
    int64_t wall_ms;
    int64_t monotonic_ms;
    int64_t started_ms;
    int interval_ms;        /* between two status files */
    int64_t min_free_bytes; /* below it no message is accepted */
    struct writer_status writer;
    struct session_status sessions[CONFIG_SESSIONS_MAX];
    int *granted[CONFIG_SESSIONS_MAX]; /* by filter, see session_granted() */
    struct gate_link_status links[CONFIG_SESSIONS_MAX];
    unsigned session_count;
    unsigned subscribed; /* sessions with every filter granted */
    uint64_t pending;    /* messages taken, not yet durable */
    size_t pending_bytes;
    uint64_t unacknowledged; /* QoS 2 messages of all sessions whose handshake is not complete */
    double rate_per_s;       /* messages made durable, over the last seconds */
    struct status_rates rates;
    int64_t lag_ms;   /* age of writer.newest_time_ms; -1: none is known */
    int64_t quiet_ms; /* since writer.last_message_ms; -1: none is known */
    bool catching_up;
    struct status_catch_up catch_up; /* while catching up */
    struct status_growth growth;
    struct status_certificates certificates;
    int64_t writer_age_ms; /* time since the writer's thread made a step; gate_age_ms: the gate's */
    int64_t gate_age_ms;
    bool clock_behind;                  /* see base/wall.h; */
    int64_t clock_least_ms;             /* a lower bound of the time; 0: the clock is not behind */
    char waits[STATUS_WAITS_SIZE];      /* the deletions that retention has announced, in words; "":
                                         * none */
    int64_t waits_until_ms;             /* monotonic; the first of them */
    struct quarantine_share_now latest; /* the latest messages, and how many are in quarantine */
    int64_t disk_wait_ms; /* how long one of our calls has been waiting for the disk; 0: none */
    const char *state;    /* in words */
    char text[STATUS_TEXT_SIZE];
    uint64_t strangers; /* connections of other programs to the gate */
};

/* Raised when a member of the JSON is renamed, removed or gets another meaning; new members do not
 * raise it. foxtrackrctl(8) documents every member. */
#define STATUS_FILE_FORMAT 1

/*
 * Write a snapshot as JSON (status/json.c), or as metrics in the Prometheus text format
 * (status/metrics.c), in the place of `file`. `config` is the one that the sessions were made from.
 * Returns 0; or 1 with file->problem set.
 */
int status_file_write_json(struct own_file *file, const struct config *config,
                           const struct status_snapshot *snapshot);
int status_file_write_metrics(struct own_file *file, const struct config *config,
                              const struct status_snapshot *snapshot);

/* The status of a daemon that waits for the database, or for the daemon with its sessions. */
struct status_wait {
    int64_t wall_ms;
    int64_t started_ms;
    int interval_ms;
    const char *state;  /* "standby" or "waiting for the database" */
    const char *text;   /* a sentence that begins with the state */
    const char *holder; /* the daemon that has the sessions; NULL: none is known */
};

/* The same two files for a daemon that waits. */
int status_file_write_waiting_json(struct own_file *file, const struct config *config,
                                   const struct status_wait *wait);
int status_file_write_waiting_metrics(struct own_file *file, const struct config *config,
                                      const struct status_wait *wait);

#define STATUS_FILE_MODE 0640
/* Readable for all: the node exporter runs as another user. */
#define STATUS_FILE_METRICS_MODE 0644

/* The name of a session's protocol as it stands in the file; "" when it is not known. */
const char *status_file_protocol(int version);

/* "sqlite" or "postgresql". */
const char *status_file_engine(enum config_engine engine);

/* A state's name as it stands in the file ("subscribed", …). */
const char *status_file_session_state(enum session_state state);
const char *status_file_writer_state(enum writer_state state);

#endif
