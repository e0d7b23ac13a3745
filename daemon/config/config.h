/*
 * The configuration file: one table (config/keys.c) drives keys, parsers, defaults and checks.
 *
 * Strict: an unknown section or key, a key given twice, a value out of range or a missing required
 * key is an error that names file, line, key and reason. All problems are reported at once. Nothing
 * is logged here.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "foxtrackr.h"

#define CONFIG_DEFAULT_PATH    "/etc/foxtrackrd/foxtrackrd.conf"
#define CONFIG_DATABASE_PATH   "/var/lib/foxtrackrd/foxtrackr.db"
#define CONFIG_SESSIONS_MAX    16
#define CONFIG_VIEWS_MAX       32
#define CONFIG_COLUMNS_MAX     64 /* of a view */
#define CONFIG_CREDENTIAL      "foxtrackrd.password"
#define CONFIG_PROXY_SECRET    "foxtrackrd.proxy-password" /* a credential, too */
#define CONFIG_DATABASE_SECRET "foxtrackrd.postgresql"     /* a credential, too */
#define CONFIG_PROBLEM_SIZE    512
#define CONFIG_PROBLEMS_MAX    20
#define CONFIG_SYSTEM_BUNDLE   "/etc/ssl/certs/ca-certificates.crt"

/* The proxy on the way to the broker: an HTTP proxy with CONNECT, or SOCKS 5. */
struct config_proxy {
    bool socks5;
    char *host; /* a name or an address, without brackets */
    int port;
    char *user; /* percent-decoded, at most 255 bytes; NULL: none */
};

/* broker.protocol. CONFIG_AUTO: MQTT 5 where the broker speaks it, else MQTT 3.1.1. */
enum config_protocol { CONFIG_AUTO, CONFIG_MQTT_5, CONFIG_MQTT_3_1_1 };

/* database.engine: which kind of database has the readings. */
enum config_engine { CONFIG_SQLITE, CONFIG_POSTGRESQL };

enum config_log_target { CONFIG_LOG_JOURNAL, CONFIG_LOG_STDERR, CONFIG_LOG_FILE };

struct config_session {
    char *name;      /* "" for plain [session] */
    char *given;     /* NULL when client_id was set */
    char *number;    /* two digits, or the text as written */
    char *client_id; /* id-<given>-<number>, or as set */
    char **filters;  /* at least one, each a valid topic filter (MQTT 3.1.1 §4.7.1) */
    size_t filter_count;
    int qos;
    int receive_maximum;       /* MQTT 5: the in-flight window that is asked for */
    int64_t session_expiry_ms; /* MQTT 5: how long the broker is asked to keep the session */
    bool standby; /* wait while another daemon has this client id; the same in every session */
};

/* A column of a typed view: the value at a path of the body. */
struct config_column {
    char *name;     /* ASCII letters, digits and _; needs no quotes in SQL */
    char *path;     /* member names joined by dots; none is empty, or holds a " or a \ */
    char *factor;   /* a decimal number with optional sign and exponent; NULL: none */
    double divisor; /* with a factor: the column is number / divisor, or where that is 1 number *
                     * factor */
    int line;
};

/* A section [view NAME]: the messages of a type as a view of the database. */
struct config_view {
    char *name; /* as that of a column */
    char *type; /* last topic level, in lower case; without NUL, line end and slash */
    struct config_column *columns; /* at least one; their names differ, without regard to case */
    size_t column_count;
    int line;
};

/* The sections [view NAME], in the order of the file; their names differ as those of columns do. */
struct config_views {
    struct config_view list[CONFIG_VIEWS_MAX];
    size_t count;
};

struct config {
    char *path; /* the file this came from */

    char **warnings; /* "file:line: key: sentence": valid, but probably not what was meant */
    size_t warning_count;

    struct {
        char *host;
        int port;
        bool tls;
        char *ca_file;
        char *cert_file; /* NULL: none */
        char *key_file;  /* NULL: in cert_file */
        char *username;  /* NULL: none */
        char *password_file;
        char *password;       /* from password, password_file or the credential; NULL: none */
        bool password_inline; /* from the key password in the configuration file itself */
        int keepalive_s;
        struct config_proxy *proxy; /* NULL: none */
        char *proxy_password_file;
        char *proxy_password; /* at most 255 bytes, from proxy_password_file or the credential;
                               * NULL: none */
        enum config_protocol protocol;
    } broker;

    struct config_session sessions[CONFIG_SESSIONS_MAX];
    size_t session_count; /* at least 1 */

    struct {
        enum config_engine engine;
        char *path; /* SQLite: the file. PostgreSQL: hosts and database for people, no path */
        char *uri;  /* PostgreSQL, without a password; NULL: SQLite */
        char *password_file;
        char *password;        /* from password_file or the credential; NULL: none */
        int answer_timeout_ms; /* PostgreSQL: an answer that takes longer means a lost connection */
        bool durability_full;
        int busy_timeout_ms;
        int batch_max;
        int retention_days;         /* 0: keep for ever */
        int retention_days_battery; /* as retention_days unless set, like the next two */
        int retention_days_temperature;
        int retention_days_messages;
        int retention_days_quarantine; /* 0 unless set */
        int rollup_days;               /* 0: roll-ups go with their readings */
        char *time_zone;               /* of the roll-ups' days */
        int min_free_mb;               /* 0: no check */
    } database;

    struct {
        size_t max_payload; /* bytes */
        int64_t max_future_ms;
        bool version_slash; /* in `fields` too */
    } parser;

    struct foxtrackr_fields *fields; /* built-in aliases and [fields]; whoever takes them sets this
                                      * to NULL */
    struct config_views *views;      /* the same holds for these */

    struct {
        enum config_log_target target;
        char *file; /* set when target is CONFIG_LOG_FILE */
        int level;  /* LOG_ERR … LOG_DEBUG of syslog.h */
    } log;

    struct {
        char *file;         /* NULL: none */
        char *metrics_file; /* NULL: none */
        int interval_ms;
    } status;
};

/*
 * The problems of a file: the first CONFIG_PROBLEMS_MAX by line, those without a line last. Each is
 * "file:line: section.key: reason" (line and key where they apply) and never holds a secret.
 */
struct config_problems {
    size_t count; /* of all; those past CONFIG_PROBLEMS_MAX are only counted */
    int lines[CONFIG_PROBLEMS_MAX];
    char sentences[CONFIG_PROBLEMS_MAX][CONFIG_PROBLEM_SIZE];
};

/*
 * Read and check a file. Secrets that it names (the files of passwords, the systemd credentials
 * in $CREDENTIALS_DIRECTORY) are read too; certificates are not, see net/net.h.
 *
 * Returns 0 and sets *out, which the caller frees with config_free(); or 1 with *problems filled
 * in, at least one.
 */
int config_load(const char *path, struct config **out, struct config_problems *problems);

/* Call `tell` for each kept problem in the order of the lines, and last with "path: and 12 more
 * problems" if some were only counted; not for warnings. The sentence is valid during the call. */
void config_problems_tell(const struct config_problems *problems, const char *path,
                          void (*tell)(const char *sentence));

/* Free a configuration and wipe its secrets. NULL is allowed. */
void config_free(struct config *config);

/* Free the views that were taken from a configuration. NULL is allowed. */
void config_views_free(struct config_views *views);

/*
 * Name the keys that differ between two configurations and take effect only after a restart, as a
 * comma-separated list ("broker.host, database.path"). Returns the number of differences; 0 leaves
 * `names` empty.
 */
int config_needs_restart(const struct config *running, const struct config *loaded, char *names,
                         size_t names_size);

/* --- paths ------------------------------------------------------------------------------- */

/*
 * Compare all files that the daemon of this configuration uses: the configuration itself, the
 * database with its WAL, shared memory, journal and lock, the files that it writes or replaces, the
 * files that it reads, and the files of the other configurations beside this one. Nothing is
 * changed or created.
 *
 * Returns 0 when none of them would be written for two purposes; or 1 with `problem` (of
 * CONFIG_PROBLEM_SIZE bytes) set to a sentence.
 */
int paths_check(const struct config *config, char *problem);

/*
 * Check that a file that an operator wants to create or replace is none of the files of
 * paths_check(). `what` names the new content ("the backup"). Returns 0; or 1 with `problem` set.
 */
int paths_check_target(const struct config *config, const char *target, const char *what,
                       char *problem);

/*
 * Call `each` with a sentence for each file that another configuration beside this one, with
 * another database, uses for the same purpose: two status files, two logs. That loses no reading,
 * so it is a warning only.
 */
void paths_each_shared(const struct config *config,
                       void (*each)(void *context, const char *sentence), void *context);

#endif
