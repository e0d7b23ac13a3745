/*
 * What the server's errors mean for a batch. SQLSTATE classes are those of PostgreSQL's
 * errcodes.txt.
 *
 * An error is final only if a repetition cannot help and may do harm: corruption, a dropped
 * database, a fault of ours. Everything else is tried again: the broker keeps the messages.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/postgresql/postgresql_internal.h"

static const struct {
    const char *state; /* an SQLSTATE, or the class that it begins with */
    struct pg_class class;
} classes[] = {
    {"08", {STORE_E_RETRY, STORE_E_WAIT, true}},     /* connection */
    {"57P04", {STORE_FATAL, STORE_E_PATH, true}},    /* database dropped */
    {"57014", {STORE_E_RETRY, STORE_E_WAIT, false}}, /* cancelled */
    {"57", {STORE_E_RETRY, STORE_E_WAIT, true}},     /* shutdown, crash, starting up */
    {"25006", {STORE_E_RETRY, STORE_E_WAIT, true}},  /* read-only: another host is the primary */
    {"25P03", {STORE_E_RETRY, STORE_E_WAIT, true}},  /* idle in a transaction for too long */
    {"25", {STORE_E_RETRY, STORE_E_WAIT, false}},
    {"40", {STORE_E_RETRY, STORE_E_WAIT, false}},    /* deadlock, serialisation */
    {"55P03", {STORE_E_RETRY, STORE_E_WAIT, false}}, /* lock_timeout */
    {"53100", {STORE_E_RETRY, STORE_E_WAIT, false}}, /* disk full */
    {"53", {STORE_E_RETRY, STORE_E_WAIT, true}},     /* memory, connections */
    {"28", {STORE_E_RETRY, STORE_E_PATH, true}},     /* password: it may be changed */
    {"3D000", {STORE_E_RETRY, STORE_E_PATH, true}},  /* no such database */
    {"3F000", {STORE_E_RETRY, STORE_E_PATH, true}},  /* no such schema */
    {"42501", {STORE_E_RETRY, STORE_E_PATH, false}}, /* privilege */
    {"23514", {STORE_E_RETRY, STORE_E_WAIT, false}}, /* a month that retention has just dropped */
    {"58030", {STORE_FATAL, STORE_E_PATH, true}},    /* I/O error */
    {"XX001", {STORE_FATAL, STORE_E_PATH, true}},    /* data corrupted */
    {"XX002", {STORE_FATAL, STORE_E_PATH, true}},    /* index corrupted */
    {"F0", {STORE_FATAL, STORE_E_PATH, true}},       /* configuration file */
    {"", {STORE_FATAL, STORE_E_PATH, false}},        /* all others: a fault of ours */
};

struct pg_class pg_classify(const char *state)
{
    size_t i = 0;

    if (state[0] == '\0') {
        return (struct pg_class){STORE_E_RETRY, STORE_E_WAIT, true};
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
    snprintf(store->error, sizeof(store->error), "%s: cannot %s: %s%s%s%s", store->shown, doing,
             line, state != NULL ? " (" : "", state != NULL ? state : "", state != NULL ? ")" : "");
    if (class.close || lost) {
        pg_disconnect(store);
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
