/* Declarations shared by the files of this engine; engine.c names the file of each operation. */
#ifndef STORE_POSTGRESQL_POSTGRESQL_INTERNAL_H
#define STORE_POSTGRESQL_POSTGRESQL_INTERNAL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/zone.h"
#include "store/engine.h"
#include "store/measures.h"

#define PG_ERROR_SIZE  1024
#define PG_NOTICE_SIZE 256
#define PG_NAME_SIZE   64 /* NAMEDATALEN */

/* Names the isolation: a role may have another default, under which a row of another daemon is a
 * serialisation failure. */
#define PG_BEGIN "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

/* A prepared statement; statements.c has the SQL. */
enum pg_statement {
    PG_LOCK_TRY,
    PG_LOCK_GIVE,
    PG_LOCK_HOLDERS,
    PG_END_HOLDER,
    PG_RUN_BEGIN,
    PG_RUN_END,
    PG_RUN_COUNT,
    PG_RUN_READ,
    PG_DEVICES_ADD,
    PG_DEVICES_FIND,
    PG_GROUPS_ADD,
    PG_STAGE,
    PG_BATTERY_PUT,
    PG_BATTERY_STORED,
    PG_TEMPERATURE_PUT,
    PG_TEMPERATURE_STORED,
    PG_MESSAGES_PUT,
    PG_MESSAGES_STORED,
    PG_QUARANTINE_ADD,
    PG_QUARANTINE_AGAIN,
    PG_TRIGGERS,
    PG_SESSION_DURABLE,
    PG_SESSION_CONNECTING,
    PG_SESSION_SETTLED,
    PG_SESSION_ESTABLISHED,
    PG_SESSION_FIND,
    PG_SESSIONS,
    PG_GAP_ADD,
    PG_GAP_EXTEND,
    PG_GAP_OLDER,
    PG_SUBSCRIPTION_ADD,
    PG_SUBSCRIPTION_REMOVE,
    PG_SUBSCRIPTIONS_FORGET,
    PG_SUBSCRIPTIONS,
    PG_GAPS,
    PG_RESTORED,
    PG_QUARANTINE_SIZE,
    PG_NEWEST_RECEIVED,
    PG_HEARTBEAT,
    PG_MEASURE,
    PG_OTHERS,
    PG_SURVEY_DEVICES,
    PG_SURVEY_BEFORE,
    PG_SURVEY_QUARANTINE,
    PG_BATTERY_COUNT,
    PG_TEMPERATURE_COUNT,
    PG_MESSAGES_COUNT,
    PG_QUARANTINE_COUNT,
    PG_RETENTION_LOCK,
    PG_EXPIRED_MONTH,
    PG_OLD_MONTH,
    PG_CUT_MONTHS,
    PG_QUARANTINE_EXPIRE,
    PG_EXPIRED_ADD,
    PG_MONTHS,
    PG_MONTHS_LOCK,
    PG_MONTH_ADD,
    PG_STATEMENTS
};

/* The state of a connection. A transaction that writes begins only on one that pg_ready() has
 * found to be PG_HOLDER. */
enum pg_link {
    PG_CLOSED, /* none */
    PG_OPEN,   /* connected and checked, without the locks: reads only */
    PG_HOLDER, /* with the locks of every client id */
};

struct pg_batch;   /* batch_internal.h */
struct pg_devices; /* devices_internal.h */
struct pg_expire;  /* expire_internal.h */

struct store {
    struct store_handle handle;
    char *uri;
    char *shown;
    const char *password; /* borrowed; NULL: none */
    char *broker;
    struct zone *zone; /* of the days, as database.time_zone has them; NULL: the database's */
    char **client_ids;
    int64_t *lock_keys; /* one for each client id, ascending */
    unsigned client_count;
    const char *taken_id; /* of client_ids: one that another process has; NULL: not known */
    int answer_timeout_ms;
    int busy_timeout_ms;
    int wait_ms; /* bounds every wait: answer_timeout_ms, or what limit_wait() has set */
    enum store_durability durability;
    bool read_only;
    bool beside; /* a tool that writes while the daemon does: it takes no locks */
    bool standby;
    bool (*stopped)(void);

    PGconn *db; /* NULL with PG_CLOSED */
    enum pg_link link;
    int backend;           /* process id of the server's process */
    char token[2 * 8 + 1]; /* of this process, in application_name: tells our own old
                            * connections from those of others */
    char schema[PG_NAME_SIZE];
    bool in_transaction;
    bool in_commit; /* a WARNING now means: less durable than asked */
    bool warned;    /* one came */
    bool unknown;   /* COMMIT was sent and its answer did not come */
    char notice[PG_NOTICE_SIZE];
    struct store_link told;       /* for status */
    struct pg_transfer *transfer; /* an open batch of transfer.c; NULL: none */
    bool moving;                  /* this store fills the database from another one */

    int64_t run;                 /* 0: none begun */
    char version[PG_NAME_SIZE];  /* of the program, in the run's row */
    int64_t started_ms;          /* in it, too */
    struct store_counts counts;  /* the open batch included */
    struct store_counts durable; /* of the last COMMIT that was answered */
    struct store_counts pending; /* of the COMMIT that was sent last */
    uint64_t batch_messages;     /* of the open batch */
    uint64_t pending_messages;   /* of the COMMIT that was sent last */
    uint64_t counted_already;    /* messages that are applied again and that `runs` has counted */
    uint64_t counted_at_begin;   /* counted_already before the open batch */

    int64_t entries; /* of quarantine, with those of the open batch; -1: not counted yet */
    int64_t entries_durable;
    struct store_handler handler;
    int64_t spoke_ms; /* monotonic: when the server last heard of this process between batches */
    struct pg_batch *batch;
    struct pg_devices *devices;
    struct pg_months *months;
    struct pg_expire *expire;
    int64_t stop_ms;     /* monotonic: when `stopped` said so first; 0: not yet */
    bool committing;     /* COMMIT was sent: a tool that stops counts what it has done */
    int64_t measured_ms; /* monotonic: when the database's size was read; 0: never */
    int64_t dialled_ms;  /* monotonic: when an idle daemon tried to connect again */
    int64_t bytes;       /* of the database; -1: not known */
    int64_t others_ms;   /* monotonic: when `others` was read; 0: never */
    int64_t others;      /* a number that changes with quarantine and gaps */
    int64_t ahead_ms;    /* monotonic: when months were made ahead last; 0: never */
    int last_query;      /* number of the last cursor of a tool */
    int open_queries;    /* of a tool */
    bool holds_read;     /* store_read_begin() */
    bool fatal;
    char news[PG_ERROR_SIZE]; /* for the next batch, which fails with it once; "": none */
    bool resumed; /* since the connection was made: the run's row is what it should be */
    bool storing; /* rows of the batch are on their way */
    bool refused; /* the server refuses one of them for what it holds: */
    char refusal[PG_NOTICE_SIZE * 2];
    bool direct;         /* readings are copied into their tables; if one is there already: */
    bool was_there;      /* the server has said so */
    uint64_t new_rows;   /* stored over this connection since the last that was there already */
    bool cautious;       /* the next messages are stored one by one, until a commit */
    const char *missing; /* a table where rows that were stored are not there; NULL: none */
    char state[6];       /* the SQLSTATE of the last failure; "": libpq's own */
    char error[PG_ERROR_SIZE];
};

extern const struct store_engine store_postgresql; /* engine.c */

/* --- error.c ------------------------------------------------------------------------------- */

/* The meaning of an SQLSTATE for a batch. */
struct pg_class {
    int result;         /* STORE_E_RETRY or STORE_FATAL */
    int opening;        /* while opening: STORE_E_WAIT or STORE_E_PATH */
    bool close;         /* the connection is of no more use */
    bool content;       /* if a row of a batch is stored: the row itself may be what is refused */
    const char *advice; /* for people; NULL: none */
};

/* Returns the class of an SQLSTATE; "" is a lost connection. Pure. */
struct pg_class pg_classify(const char *state);

/* Record the failure of `doing` ("store readings") with the server's message, close the connection
 * if it is of no more use, and return the result. `result` may be NULL: the connection's error. */
int pg_fail(struct store *store, const PGresult *result, const char *doing);

/* Record a sentence and return `result`. */
int pg_refuse(struct store *store, int result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- parameters.c -------------------------------------------------------------------------- */

#define PG_PARAMETERS 24

/* For PQconnectStartParams(), which expands the URI. */
struct pg_parameters {
    const char *keys[PG_PARAMETERS]; /* NULL behind the last one */
    const char *values[PG_PARAMETERS];
    int count;
};

/* Begin with the parameters of every connection; add one. The texts live as long as these. */
void pg_parameters_choose(const char *uri, const char *name, bool read_only,
                          struct pg_parameters *parameters);
void pg_parameters_add(struct pg_parameters *parameters, const char *key, const char *value);

/* --- reason.c ------------------------------------------------------------------------------ */

#define PG_READ_ONLY_ADVICE                                                                        \
    "default_transaction_read_only = on, which ALTER ROLE ... RESET "                              \
    "default_transaction_read_only takes back"

/* Why there is no connection. */
struct pg_reason {
    int result; /* STORE_E_WAIT, or STORE_E_PATH where a wait is of no use */
    char line[PG_ERROR_SIZE / 2];
    char state[6];      /* the SQLSTATE; "": libpq's own */
    const char *advice; /* for people; NULL: none */
};

/* Choose from libpq's text, which has a line for each attempt: the one that there is advice about,
 * otherwise the last that found more than a closed port. `uri` is that of the store. Pure. */
void pg_reason_find(const char *text, const char *uri, struct pg_reason *out);

/* --- wait.c: the only file that waits for the server ---------------------------------------- */

/* Send what libpq has gathered. */
int pg_flush(struct store *store, const char *doing);

/* Set *out to the next result, for PQclear(); NULL: there are no more. STORE_E_RETRY with a lost
 * connection, or after wait_ms without an answer. */
int pg_result(struct store *store, const char *doing, PGresult **out);

/* Give bytes to COPY. */
int pg_put_copy(struct store *store, const char *bytes, size_t length, const char *doing);

/* Read results until there are no more. *out becomes the last one, for PQclear(), or NULL is
 * wanted. An error of the server is pg_fail(). */
int pg_results(struct store *store, const char *doing, PGresult **out);

/* Send one string of SQL, and read its results as pg_results(). */
int pg_simple(struct store *store, const char *sql, const char *doing, PGresult **out);

/* --- statements.c -------------------------------------------------------------------------- */

#define PG_ARGS_MAX 12

/* The parameters of a statement, in binary; they are borrowed until it was sent. */
struct pg_args {
    int count;
    const char *values[PG_ARGS_MAX];
    int lengths[PG_ARGS_MAX];
    int formats[PG_ARGS_MAX];
    char integers[PG_ARGS_MAX][8];
};

void pg_arg_int8(struct pg_args *args, int64_t value);
void pg_arg_int4(struct pg_args *args, int32_t value);
void pg_arg_text(struct pg_args *args, const char *text); /* NULL becomes NULL */
void pg_arg_real(struct pg_args *args, double real);      /* NAN becomes NULL */
void pg_arg_bytes(struct pg_args *args, const char *bytes, size_t length);

/* Prepare every statement, in one round trip. */
int pg_prepare_all(struct store *store);

/* Returns what a statement does, to complete "cannot ...", and its SQL, for pg_query(). */
const char *pg_doing(enum pg_statement id);
const char *pg_sql(enum pg_statement id);

/* Run one statement. *out is for PQclear(); NULL: not wanted. Its columns are in binary. */
int pg_run(struct store *store, enum pg_statement id, const struct pg_args *args, PGresult **out);

/* The same for SQL that is not prepared. `args` may be NULL. */
int pg_run_text(struct store *store, const char *sql, const struct pg_args *args, const char *doing,
                PGresult **out);

/*
 * Several statements in one round trip: begin, send each, sync, then one pg_expect() for each that
 * was sent, in their order, then end. After a failure pg_expect() returns it for all that follow,
 * and pg_pipeline_end() must be called in any case.
 */
int pg_pipeline_begin(struct store *store);
int pg_send(struct store *store, enum pg_statement id, const struct pg_args *args);
int pg_send_sql(struct store *store, const char *sql);
int pg_pipeline_sync(struct store *store);
int pg_expect(struct store *store, const char *doing, PGresult **out);
int pg_pipeline_end(struct store *store, int result);

/* Run one statement that is not prepared: of a tool, or rare work of the daemon. What may be wrong
 * with it is somebody else's, such as a view that is gone, so it never ends the process:
 * STORE_E_RETRY. Otherwise as pg_run(). */
int pg_query(struct store *store, const char *sql, const char *doing, const struct pg_args *args,
             PGresult **out);

/* Begin, commit and undo a transaction of the store's own, between batches. It is not synced by
 * itself: the next commit of a batch syncs it too. pg_own_undo() keeps the sentence. */
int pg_own_begin(struct store *store);
int pg_own_commit(struct store *store);
void pg_own_undo(struct store *store);

/* Values of a result in binary. */
int64_t pg_int8(const PGresult *result, int row, int column);
int32_t pg_int4(const PGresult *result, int row, int column);
double pg_real(const PGresult *result, int row, int column);

/* Rows that an INSERT, UPDATE or DELETE touched. */
int64_t pg_touched(PGresult *result);

/* --- connect.c ----------------------------------------------------------------------------- */

/* The end of a sentence about synchronous_commit: fsync is the server's alone. */
#define PG_COMMITS_SET_BY                                                                          \
    "; the options of database.uri, the role, the database or the server's configuration may set " \
    "it"

/* Connect, check the server, and prepare. STORE_OK (PG_OPEN), STORE_E_WAIT, STORE_E_PATH,
 * STORE_E_NEWER or STORE_FATAL. */
int pg_connect(struct store *store);

/* Columns of a query: the role, and the one that owns the tables of the schema; NULL: there are
 * none yet. */
#define PG_ROLES                                                                                   \
    "current_user::text, (SELECT pg_get_userbyid(relowner)::text FROM pg_class"                    \
    " WHERE relname = 'schema_version' AND relnamespace ="                                         \
    " (SELECT oid FROM pg_namespace WHERE nspname = current_schema()))"

/* Say what to do about a role that may not create tables, with the columns of PG_ROLES, the first
 * of which is `column`. */
void pg_explain_role(const PGresult *found, int column, char *out, size_t size);

/* Close at once. Harmless when closed. */
void pg_disconnect(struct store *store);

/* Make the connection one that may be used: for a tool it is connected, for the daemon pg_ready().
 * STORE_OK, STORE_E_RETRY, STORE_E_LOST or STORE_FATAL. */
int pg_usable(struct store *store);

/* Make the connection one that may write: connect, take the locks, learn what became of the last
 * COMMIT. STORE_OK (PG_HOLDER), STORE_E_RETRY, STORE_E_LOST or STORE_FATAL. */
int pg_ready(struct store *store);

/* --- tools.c ------------------------------------------------------------------------------- */

/* Find out who has a client id of the store. *held: somebody; then *holder describes it. */
int pg_find_holder(struct store *store, bool *held, struct store_holder *holder);

/* --- zone.c -------------------------------------------------------------------------------- */

/* Keep a copy of the zone. Returns false when memory is out. */
bool pg_zone_keep(struct store *store, const struct zone *zone);
void pg_zone_free(struct store *store);

/* Bring the zone into the database: for the daemon that has the sessions. */
int pg_zone_apply(struct store *store);

/* --- migrate.c, lock.c, runs.c, commit.c ---------------------------------------------------- */

/* The relations of the schema by kind: tables, views, indexes. */
#define PG_RELATIONS                                                                               \
    "(VALUES ('devices', 'r'), ('device_groups', 'r'), ('battery', 'p'), ('temperature', 'p'),"    \
    " ('messages', 'p'), ('quarantine', 'r'), ('gaps', 'r'), ('runs', 'r'), ('expired', 'r'),"     \
    " ('sessions', 'r'), ('subscriptions', 'r'), ('limits', 'r'), ('day_offsets', 'r'),"           \
    " ('device_habits', 'r'), ('typed_views', 'r'), ('inbox', 'r'), ('schema_version', 'r'),"      \
    " ('battery_daily', 'v'), ('battery_latest', 'v'), ('battery_pieces', 'v'),"                   \
    " ('battery_trend', 'v'), ('coverage_daily', 'v'), ('days', 'v'), ('fleet', 'v'),"             \
    " ('fleet_daily', 'v'), ('group_daily', 'v'), ('quarantine_summary', 'v'),"                    \
    " ('reporting_gaps', 'v'), ('silent_devices', 'v'), ('temperature_daily', 'v'),"               \
    " ('temperature_excursions', 'v'), ('temperature_latest', 'v'), ('temperature_pieces', 'v'),"  \
    " ('usual_intervals', 'v'), ('foxtrackr_partitions', 'v'), ('device_groups_by_device', 'i'),"  \
    " ('quarantine_by_time', 'i'), ('quarantine_with_time', 'i')) AS t (name, kind)"

/* For a daemon: bring the schema up to date. STORE_OK, STORE_E_RETRY, STORE_E_NEWER, STORE_E_PATH
 * (the schema has names of ours without a version) or STORE_FATAL. */
int pg_migrate(struct store *store);

/* For a tool: the schema is of this program's version. STORE_OK, STORE_E_NEWER, STORE_E_EMPTY (a
 * daemon will make it) or STORE_E_PATH. */
int pg_check_schema(struct store *store);

/* Returns the key of a lock: the first 8 bytes of SHA-256 of its parts, each ended by a NUL. 0 when
 * OpenSSL fails. */
int64_t pg_lock_key(const char *what, const char *broker, const char *client_id);

/* Take the locks of every client id, or none. STORE_OK (PG_HOLDER), STORE_E_LOCKED and *holder, or
 * STORE_E_RETRY. */
int pg_lock_take(struct store *store, struct store_holder *holder);

/* Describe a holder by its application_name, which is "foxtrackrd HOST/PID/TOKEN". */
void pg_lock_describe(const char *name, const char *address, struct store_holder *holder);

/* STORE_OK; STORE_E_PATH while a database is being moved into this one (transfer.c); STORE_E_RETRY
 * or STORE_FATAL. */
int pg_transfer_check(struct store *store);

/* Forget an open batch of transfer.c. */
void pg_transfer_free(struct store *store);

/* After a connection was lost: learn from the run's row whether the last COMMIT took effect. A
 * database that is older than that is noted in `gaps`, and in `news`. */
int pg_run_resume(struct store *store);

/* Commit the batch with the run's counts; see commit.c. Also without a transaction: it then begins
 * one, which proves that the database commits. */
int pg_commit(struct store *store);

/* Commit a transaction of another kind, which must be as durable as a batch. */
int pg_commit_durably(struct store *store, const char *doing);

#endif
