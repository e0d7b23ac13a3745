/*
 * Declarations shared by the files of config/; not for other rooms.
 *
 *   config/config.c    reads the file, line by line, and puts each value where its key says
 *   config/keys.c      the table of keys, and what is derived from it
 *   config/text.c      the text of a value: comments, quotes, blanks and the backslash
 *   config/value.c     the types of values: text to value, or a reason
 *   config/filters.c   the list of topic filters
 *   config/views.c     the sections [view NAME]
 *   config/proxy.c     the URL of a proxy
 *   config/uri.c       the URI of a database of PostgreSQL
 *   config/check.c     defaults, and checks that need the whole file
 *   config/database.c  those of the database
 *   config/secret.c    the passwords: from their files, the credentials or the configuration
 *   config/doubt.c     values that are read and may be meant otherwise, as warnings
 *   config/problem.c   problems, and warnings
 *
 * Functions return 0, or 1 with a reason or after a problem was noted. Reading and checking go on
 * after a problem, so that all of them are told at once; a problem that only follows from another
 * one is not.
 */
#ifndef CONFIG_CONFIG_INTERNAL_H
#define CONFIG_CONFIG_INTERNAL_H

#include "config/config.h"

#define CONFIG_KEYS_MAX    48
#define CONFIG_REASON_SIZE 384
#define CONFIG_SECTION_MAX 49  /* what inih keeps of a section's name */
#define CONFIG_LINE_SIZE   256 /* more than a line of inih's, with its end */

enum config_section {
    CONFIG_BROKER,
    CONFIG_SESSION,
    CONFIG_DATABASE,
    CONFIG_PARSER,
    CONFIG_FIELDS,
    CONFIG_LOG,
    CONFIG_STATUS,
    CONFIG_VIEW,
    CONFIG_SECTION_COUNT,
};

struct config_key;

/* How a value is read, compared and freed. `field` points to the member that the key's row
 * names. */
struct config_type {
    int (*parse)(const struct config_key *key, const char *text, void *field, char *reason);
    bool (*same)(const void *one, const void *other);
    void (*clear)(void *field); /* NULL: it owns nothing */
    bool may_be_empty;
    bool secret;    /* its text never gets into a reason */
    bool continues; /* a further, indented line adds to it */
};

struct config_key {
    enum config_section section;
    const char *full_name; /* "broker.host" */
    const char *name;      /* "host" */
    const char *standard;  /* the default as it would be written; "" for none */
    const struct config_type *type;
    size_t offset; /* in struct config; of [session] keys, in struct config_session */
    int64_t min;
    int64_t max;
    bool live;
    bool required;
};

/* A file while it is read. */
struct config_loading {
    struct config *config;
    struct config_problems *problems;
    void *stream;        /* FILE */
    bool others_read_it; /* so it must not hold a password */
    bool given_up;       /* the rest of the file cannot be read */

    int line;
    bool in_section;
    bool skipping; /* the section is unknown and resembles no known one */
    bool section_has_key;
    bool indented;
    bool value_dropped;           /* of the key above: its continuation lines are dropped too */
    char value[CONFIG_LINE_SIZE]; /* of this line, unchanged: inih would cut comments off */
    bool value_has_blanks_behind;
    enum config_section section;
    size_t session; /* index of the session, in a session's section */
    size_t view;    /* index of the view, in a view's section */

    int section_lines[CONFIG_SECTION_COUNT]; /* 0: not seen */
    int session_lines[CONFIG_SESSIONS_MAX];
    int type_lines[CONFIG_VIEWS_MAX];                    /* of the key `type`; 0: not seen */
    bool view_wrong[CONFIG_VIEWS_MAX];                   /* a problem in the section was noted */
    int key_lines[CONFIG_SESSIONS_MAX][CONFIG_KEYS_MAX]; /* row 0 serves the other sections too */
    /* A problem with the key's value, or with a misspelling of its name, was noted. */
    bool key_wrong[CONFIG_SESSIONS_MAX][CONFIG_KEYS_MAX];
};

/* config/problem.c: note a problem: line 0 is left out, so is a NULL name. */
void config_note(struct config_loading *loading, int line, const char *name, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

/* config_note() as an expression of value 1; a macro, so that compilers and analysers see the
 * value. */
#define config_fail(...) (config_note(__VA_ARGS__), 1)

/* config/problem.c: add to the configuration's warnings. Returns 0, or 1 when memory is out, which
 * is noted. */
int config_warn(struct config_loading *loading, int line, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* config/text.c */
/* Copies the text to `out` (CONFIG_LINE_SIZE), trimmed and unescaped as config/text.c says. Returns
 * 0, or 1 and a `reason` (CONFIG_REASON_SIZE) that never quotes the text. */
int config_text_take(const char *text, size_t length, char *out, char *reason);
/* Returns the start of the text without its surrounding blanks; *length becomes its length. */
const char *config_text_trim(const char *text, size_t *length);
/* Returns the first character that looks like a blank but is none (anywhere, or at the ends), or
 * 0. */
unsigned config_text_lookalike(const char *text, size_t length, bool ends_only);

/* config/keys.c */
extern const struct config_key config_keys[];
extern const size_t config_keys_count;
const char *config_keys_section(enum config_section section);
int config_keys_find(enum config_section section, const char *name); /* index, or -1 */
void *config_keys_field(const struct config_key *key, struct config *config, size_t session);
/* "broker.host", "session.qos", "session north.qos" */
void config_keys_full_name(const struct config_key *key, const struct config_session *session,
                           char name[CONFIG_REASON_SIZE]);
/*
 * Writes a hint for an unknown key: " (did you mean ...?)", the section that it belongs to, or the
 * section's keys. Returns the index of the key of this section that was probably meant, or -1.
 */
int config_keys_hint(enum config_section section, const char *name, char hint[CONFIG_REASON_SIZE]);
/* Returns the section of a key that stands before the first section; NULL: unknown. */
const char *config_keys_home(const char *name);
/* The same for an unknown section; `meant` becomes the name that was probably meant, or "". */
void config_keys_section_hint(const char *name, char meant[CONFIG_SECTION_MAX + 1],
                              char hint[CONFIG_REASON_SIZE]);

/* config/value.c */
extern const struct config_type config_value_text;
extern const struct config_type config_value_name;      /* letters, digits, - and _ */
extern const struct config_type config_value_digits;    /* a number that stays text */
extern const struct config_type config_value_client_id; /* MQTT 3.1.1 §3.1.3.1 */
extern const struct config_type config_value_host;
extern const struct config_type config_value_path; /* absolute */
extern const struct config_type config_value_path_or_none;
extern const struct config_type config_value_zone; /* of the tz database */
extern const struct config_type config_value_secret;
extern const struct config_type config_value_yes_no;
extern const struct config_type config_value_integer;
extern const struct config_type config_value_size;
extern const struct config_type config_value_duration;     /* into int64_t, ms */
extern const struct config_type config_value_duration_int; /* into int, ms */
extern const struct config_type config_value_durability;
extern const struct config_type config_value_engine;
extern const struct config_type config_value_protocol;
extern const struct config_type config_value_log_target;
extern const struct config_type config_value_log_level;
extern const struct config_type config_value_proxy; /* config/proxy.c: into a pointer to a struct
                                                     * config_proxy */
extern const struct config_type config_value_uri;   /* config/uri.c */
extern const struct config_type
    config_filters_type; /* config/filters.c: into struct config_session */
/* A copy of `length` bytes for a field that owns its text. */
int config_value_copy(const char *text, size_t length, char **out, char *reason);
bool config_value_is_name(const char *text);

/* config/percent.c: decodes %XX in place. Returns false when a % has no two hexadecimal digits. */
bool config_percent_decode(char *text);

/* config/uri.c */
#define CONFIG_SSLMODE_SIZE 16
/* The parts of a URI of PostgreSQL that the checks need. libpq is the judge of the rest. */
struct config_uri {
    char *shown;                       /* hosts and database, for people: "db1,db2:5433/fleet" */
    bool has_password;                 /* in a place where others see it */
    bool sockets;                      /* every host is a Unix socket of this machine */
    char sslmode[CONFIG_SSLMODE_SIZE]; /* "": not in it */
};
/* Reads `text`. Returns 0 and sets *uri, for config_uri_clear(); or 1 with a reason, which quotes
 * nothing of the text. */
int config_uri_read(const char *text, struct config_uri *uri, char *reason);
void config_uri_clear(struct config_uri *uri);

/* config/database.c: check the keys of the database that depend on each other, and those of a
 * standby. */
void config_database_check(struct config_loading *loading);

/* config/views.c */
/* Enters the section [view NAME]; `name` is the text between the brackets, which begins with
 * "view". A section with a wrong name is skipped. */
int config_views_enter(struct config_loading *loading, const char *name);
/* Takes the line `name` = loading->value of the section. A problem is noted. */
void config_views_take(struct config_loading *loading, const char *name);
/* Checks that every view has a type and a column. */
void config_views_check(struct config_loading *loading);
/* Returns true for the words that SQL does not take for a name without quotes, in any case. */
bool config_views_reserved(const char *word);
/* Returns true for the tables and views of the daemon's own schema, in any case. */
bool config_views_own(const char *word);

/* config/check.c: fill in defaults, check keys that depend on each other, read secrets. */
void config_check_all(struct config_loading *loading);
int config_check_line(const struct config_loading *loading,
                      const char *broker_key); /* 0: not set */
/* Returns true when a problem with this key of [broker] was noted, so that its value is not to be
 * relied on. */
bool config_check_wrong(const struct config_loading *loading, const char *broker_key);
/* The same of a key of any section; `session` is 0 for all but [session]. */
int config_check_line_of(const struct config_loading *loading, enum config_section section,
                         const char *name, size_t session);
bool config_check_wrong_of(const struct config_loading *loading, enum config_section section,
                           const char *name, size_t session);

/* config/secret.c: read the passwords, and check the keys that depend on them. */
void config_secret_load(struct config_loading *loading);

/* config/doubt.c: add warnings for valid values that were probably not meant. Returns 0, or 1 when
 * memory is out, which is noted. */
int config_doubt_all(struct config_loading *loading);

/* The same for the path of a line of [fields], which was found good. `name` is "fields.COLUMN". */
int config_doubt_field(struct config_loading *loading, const char *name, const char *source);

/* One row for each key, for tests and documents: returns NULL past the end. */
const char *config_key_name(size_t index);    /* "broker.host" */
const char *config_key_default(size_t index); /* as it would be written; "" for none */
bool config_key_is_live(size_t index);        /* changes with SIGHUP */

#endif
