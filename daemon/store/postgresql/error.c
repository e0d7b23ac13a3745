/*
 * The meaning of the server's errors for a batch. SQLSTATE classes are those of PostgreSQL's
 * errcodes.txt.
 *
 * An error is final only if a repetition cannot help and may do harm: corruption, a dropped
 * database, a fault of ours. Everything else is tried again: the broker keeps the messages.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/postgresql/postgresql_internal.h"

/* Advice that several classes share. */
#define FREE_SPACE "free space at the server"
#define DAMAGED    "the database is damaged: keep a copy of it, and restore a backup"
#define SERVER_LOG "the server's log says more"
#define CHANGED    "the schema was changed by somebody: foxtrackrctl verify says what is missing"

static const struct {
    const char *state; /* an SQLSTATE, or the class that it begins with */
    struct pg_class class;
} classes[] = {
    {"08", {STORE_E_RETRY, STORE_E_WAIT, true, false, NULL}}, /* connection */
    {"57P04", {STORE_FATAL, STORE_E_PATH, true, false, "the database was dropped"}},
    {"57014", {STORE_E_RETRY, STORE_E_WAIT, false, false, NULL}}, /* cancelled */
    {"57", {STORE_E_RETRY, STORE_E_WAIT, true, false, NULL}},     /* shutdown, crash, starting up */
    {"25006", /* another host may be the primary */
     {STORE_E_RETRY, STORE_E_WAIT, true, false, "the server is read-only, as a standby is"}},
    {"25P03", {STORE_E_RETRY, STORE_E_WAIT, true, false, NULL}}, /* idle in a transaction */
    {"25", {STORE_E_RETRY, STORE_E_WAIT, false, false, NULL}},
    {"40", {STORE_E_RETRY, STORE_E_WAIT, false, false, NULL}}, /* deadlock, serialisation */
    {"55P03",
     {STORE_E_RETRY, STORE_E_WAIT, false, false,
      "another program holds a lock: pg_stat_activity and pg_locks show which"}},
    {"53100", {STORE_E_RETRY, STORE_E_WAIT, false, false, FREE_SPACE}},
    {"53200", {STORE_E_RETRY, STORE_E_WAIT, true, false, "the server's memory is used up"}},
    {"53300",
     {STORE_E_RETRY, STORE_E_WAIT, true, false,
      "raise max_connections, or the connection limit of the role or database"}},
    {"53", {STORE_E_RETRY, STORE_E_WAIT, true, false, NULL}},
    {"28",
     {STORE_E_RETRY, STORE_E_PATH, true, false,
      "check the user, the password and pg_hba.conf of the server"}},
    {"3D000",
     {STORE_E_RETRY, STORE_E_PATH, true, false,
      "create the database, owned by the role of database.uri"}},
    {"3F000", {STORE_E_RETRY, STORE_E_PATH, true, false, "create the schema, or set search_path"}},
    {"42501", /* privilege */
     {STORE_E_RETRY, STORE_E_PATH, false, false,
      "make the role of database.uri the owner of the database and of its tables"}},
    /* A constraint, an index or a trigger that somebody has added; or, without a constraint's name,
     * a month that retention has just dropped. */
    {"23514", {STORE_E_RETRY, STORE_E_WAIT, false, true, NULL}},
    {"23", {STORE_E_RETRY, STORE_E_WAIT, false, true, "foxtrackrd has not made this constraint"}},
    {"P0",
     {STORE_E_RETRY, STORE_E_WAIT, false, false,
      "drop the trigger that refuses it, which foxtrackrd has not made"}},
    {"42P01", {STORE_FATAL, STORE_E_PATH, false, false, CHANGED}},   /* no such table */
    {"42703", {STORE_FATAL, STORE_E_PATH, false, false, CHANGED}},   /* no such column */
    {"22", {STORE_FATAL, STORE_E_PATH, false, true, SERVER_LOG}},    /* a value */
    {"54", {STORE_FATAL, STORE_E_PATH, false, true, SERVER_LOG}},    /* a size */
    {"58030", {STORE_FATAL, STORE_E_PATH, true, false, SERVER_LOG}}, /* I/O error */
    {"XX001", {STORE_FATAL, STORE_E_PATH, true, false, DAMAGED}},
    {"XX002", {STORE_FATAL, STORE_E_PATH, true, false, DAMAGED}},
    {"F0", {STORE_FATAL, STORE_E_PATH, true, false, SERVER_LOG}}, /* configuration file */
    {"", {STORE_FATAL, STORE_E_PATH, false, false, SERVER_LOG}},  /* all others: a fault of ours */
};

struct pg_class pg_classify(const char *state)
{
    size_t i = 0;

    if (state[0] == '\0') {
        return (struct pg_class){STORE_E_RETRY, STORE_E_WAIT, true, false, NULL};
    }
    while (strncmp(state, classes[i].state, strlen(classes[i].state)) != 0) {
        i++;
    }
    return classes[i].class;
}

/* Copies the first line of libpq's text. */
static void first_line(const char *text, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
}

/* Notes that the server refuses a row of the batch for what it holds, or, of rows that are copied
 * into their tables, because it is there; and returns true. A partition that is missing has no
 * constraint's name. */
static bool is_refused(struct store *store, const PGresult *result, const struct pg_class *class,
                       const char *line)
{
    const char *constraint =
        result != NULL ? PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME) : NULL;

    if (store->direct && strcmp(store->state, "23505") == 0) {
        store->was_there = true;
        return true;
    }
    if (!class->content || !store->storing ||
        (strcmp(store->state, "23514") == 0 && constraint == NULL)) {
        return false;
    }
    store->refused = true;
    snprintf(store->refusal, sizeof(store->refusal), "%.400s (%s)", line, store->state);
    return true;
}

int pg_fail(struct store *store, const PGresult *result, const char *doing)
{
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    bool lost = store->db == NULL || PQstatus(store->db) == CONNECTION_BAD;
    char line[PG_ERROR_SIZE / 2];
    struct pg_class class;

    if (text == NULL && store->db == NULL) {
        return STORE_E_RETRY; /* the sentence is that of the loss */
    }
    first_line(text != NULL ? text : PQerrorMessage(store->db), line, sizeof(line));
    /* Without an SQLSTATE it is libpq's own: a lost connection, or memory. */
    class = pg_classify(state != NULL ? state : "");
    snprintf(store->state, sizeof(store->state), "%s", state != NULL ? state : "");
    snprintf(store->error, sizeof(store->error), "%s: cannot %s: %s%s%s%s%s%s", store->shown, doing,
             line, state != NULL ? " (" : "", state != NULL ? state : "", state != NULL ? ")" : "",
             class.advice != NULL ? "; " : "", class.advice != NULL ? class.advice : "");
    if (class.close || lost) {
        pg_disconnect(store);
    } else if (is_refused(store, result, &class, line)) {
        return STORE_E_RETRY; /* batch_alone() finds the message */
    }
    if (class.result == STORE_FATAL) {
        store->fatal = true;
    }
    return lost && class.result != STORE_FATAL ? STORE_E_RETRY : class.result;
}

int pg_refuse(struct store *store, int result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(store->error, sizeof(store->error), format, arguments);
    va_end(arguments);
    return result;
}
