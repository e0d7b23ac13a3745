/*
 * Why there is no connection: chooses from libpq's text what people are told.
 *
 * The text has a line for each attempt, and a name such as localhost may have several addresses.
 * The sentence shows one attempt, and the advice behind it is always about that one.
 */
#include <stdio.h>
#include <string.h>

#include "store/postgresql/postgresql_internal.h"

/* How much an attempt tells. A host where nothing listens tells least: another address of the name,
 * or another host, is the one that is meant. */
enum rank { REFUSED, FAILED, ADVISED };

/* Takes the SQLSTATE out of a line of libpq, which has it with PQERRORS_VERBOSE alone: "FATAL:
 * 28P01: password ...". libpq keeps no result of a connection that was refused. */
static void take_state(char *line, char state[6])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char *at = line;

    state[0] = '\0';
    while (state[0] == '\0' && (at = strstr(at, ":  ")) != NULL) {
        at += 3;
        if (strspn(at, digits) == 5 && strncmp(at + 5, ": ", 2) == 0) {
            memcpy(state, at, 5);
            state[5] = '\0';
            memmove(at, at + 7, strlen(at + 7) + 1);
        }
    }
}

/* Returns true when libpq refuses the URI itself: no attempt was made. libpq's parser takes
 * values that PQconnectStartParams() refuses, such as sslmode=verify. */
static bool refuses_uri(const char *text, const char *uri)
{
    static const char *const begins[] = {"invalid ",
                                         "could not match ",
                                         "definition of service ",
                                         "syntax error in service ",
                                         "service file \"",
                                         "nested service ",
                                         "could not parse network address "};
    PQconninfoOption *options = PQconninfoParse(uri, NULL);
    bool refused = options == NULL;

    PQconninfoFree(options);
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        refused = refused || strncmp(text, begins[i], strlen(begins[i])) == 0;
    }
    return refused;
}

/* Sets result and advice of the attempt whose line and SQLSTATE *reason has. */
static void judge(const char *uri, struct pg_reason *reason)
{
    struct pg_class class = pg_classify(reason->state);

    reason->result = class.opening;
    reason->advice = class.advice;
    if (strstr(reason->line, "certificate verify failed") != NULL) {
        reason->advice =
            strstr(uri, "sslrootcert=") != NULL
                ? "the authority that signed the server's certificate is not in sslrootcert"
                : "without sslrootcert in database.uri the authorities of the system count";
    } else if (strstr(reason->line, " for connection option \"") != NULL) {
        reason->result = STORE_E_PATH;
        reason->advice = "mend database.uri";
    } else if (strstr(reason->line, "no password supplied") != NULL) {
        reason->result = STORE_E_PATH;
        reason->advice = "set database.password_file, or the credential " CONFIG_DATABASE_SECRET;
    } else if (strstr(reason->line, "session is read-only") != NULL) {
        reason->advice = "it is a standby, or its role or database has " PG_READ_ONLY_ADVICE;
    }
}

static enum rank rank_of(const struct pg_reason *reason, bool several)
{
    /* Of several hosts all but the primary are read-only. */
    if (strstr(reason->line, "Connection refused") != NULL ||
        (several && strstr(reason->line, "session is read-only") != NULL)) {
        return REFUSED;
    }
    return reason->advice != NULL ? ADVISED : FAILED;
}

/* Returns the next attempt; NULL: there is none. Lines that begin otherwise belong to the one
 * before. */
static const char *next_attempt(const char *text)
{
    static const char *const begins[] = {"connection to server ", "could not translate host name "};

    while ((text = strchr(text, '\n')) != NULL) {
        text++;
        for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
            if (strncmp(text, begins[i], strlen(begins[i])) == 0) {
                return text;
            }
        }
    }
    return NULL;
}

/* Copies which host an attempt was made at, without the address: 'connection to server at
 * "localhost", port 5432'. */
static void copy_host(const char *attempt, char *out, size_t size)
{
    size_t length = strcspn(attempt, "\n");
    const char *failed = strstr(attempt, " failed: ");
    const char *address;

    if (failed != NULL && (size_t)(failed - attempt) < length) {
        length = (size_t)(failed - attempt);
    }
    snprintf(out, size, "%.*s", (int)length, attempt);
    address = strstr(out, "\" (");
    if (address != NULL && strstr(address, "), port") != NULL) {
        const char *port = strstr(address, "), port") + 1;

        memmove(out + (address + 1 - out), port, strlen(port) + 1);
    }
}

/* Returns true when the attempts were made at more than one host. */
static bool has_several_hosts(const char *text)
{
    char first[PG_NOTICE_SIZE];
    char other[PG_NOTICE_SIZE];

    copy_host(text, first, sizeof(first));
    while ((text = next_attempt(text)) != NULL) {
        copy_host(text, other, sizeof(other));
        if (strcmp(first, other) != 0) {
            return true;
        }
    }
    return false;
}

void pg_reason_find(const char *text, const char *uri, struct pg_reason *out)
{
    bool several = has_several_hosts(text);
    enum rank best = REFUSED;
    struct pg_reason one;

    if (refuses_uri(text, uri)) {
        *out = (struct pg_reason){.result = STORE_E_PATH, .advice = "mend database.uri"};
        snprintf(out->line, sizeof(out->line), "%.*s", (int)strcspn(text, "\n"), text);
        return;
    }
    for (const char *at = text; at != NULL; at = next_attempt(at)) {
        snprintf(one.line, sizeof(one.line), "%.*s", (int)strcspn(at, "\n"), at);
        take_state(one.line, one.state);
        judge(uri, &one);
        if (rank_of(&one, several) >= best) {
            best = rank_of(&one, several);
            *out = one;
        }
    }
    /* Of several hosts one of the others may be the one that is wanted, and not there yet. */
    out->result = several ? STORE_E_WAIT : out->result;
}
