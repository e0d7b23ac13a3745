/*
 * Waits for the server. libpq's calls do not block (PQsetnonblocking()), and this file alone polls
 * the socket: for wait_ms at most, with a beat of the thread's pulse a few times a second, and
 * until the caller wants to stop.
 *
 * Must never happen: a wait without an end. A server that answers nothing for wait_ms counts as a
 * lost connection: the connection is closed, which ends the transaction, and the batch is applied
 * again over a new one.
 */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/error_text.h"
#include "base/pulse.h"
#include "store/postgresql/postgresql_internal.h"

#define SLICE_MS   200
#define STOPPED_MS 3000 /* who stops waits so long for the last commits */

/* Returns true when a wait has to end: at once in a start and in a tool, but for its commit; a
 * little later in a daemon with a run, and in a tool's commit. */
static bool wants_to_stop(struct store *store)
{
    if (store->stopped == NULL || !store->stopped()) {
        return false;
    }
    if (store->stop_ms == 0) {
        store->stop_ms = clock_monotonic_ms();
    }
    return (store->run == 0 && !store->committing) ||
           clock_monotonic_ms() - store->stop_ms >= STOPPED_MS;
}

static int no_answer(struct store *store, const char *doing)
{
    pg_disconnect(store);
    return pg_refuse(store, STORE_E_RETRY,
                     "%s: cannot %s: no answer for %d s; the connection is given up", store->shown,
                     doing, store->wait_ms / 1000);
}

/* Waits until the socket is ready for one of `events`, or until the deadline. */
static int wait_socket(struct store *store, short events, int64_t deadline_ms, const char *doing)
{
    struct pollfd socket = {.fd = PQsocket(store->db), .events = events};

    for (;;) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        int ready;

        if (left_ms <= 0) {
            return no_answer(store, doing);
        }
        ready = poll(&socket, 1, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);
        pulse_beat();
        if (ready > 0) {
            return STORE_OK;
        }
        if (ready < 0 && errno != EINTR) {
            return pg_refuse(store, STORE_E_RETRY, "%s: cannot %s: poll: %s", store->shown, doing,
                             error_text(errno));
        }
        if (wants_to_stop(store)) {
            pg_disconnect(store);
            return pg_refuse(store, store->run == 0 ? STORE_E_STOPPED : STORE_E_RETRY,
                             "%s: cannot %s: stopped before the server answered", store->shown,
                             doing);
        }
    }
}

int pg_flush(struct store *store, const char *doing)
{
    int64_t deadline_ms = clock_monotonic_ms() + store->wait_ms;

    for (;;) {
        int left = PQflush(store->db);
        int result;

        if (left == 0) {
            return STORE_OK;
        }
        if (left < 0) {
            return pg_fail(store, NULL, doing);
        }
        /* Reads too: a server whose answers nobody reads stops to read. */
        result = wait_socket(store, POLLIN | POLLOUT, deadline_ms, doing);
        if (result != STORE_OK) {
            return result;
        }
        if (PQconsumeInput(store->db) == 0) {
            return pg_fail(store, NULL, doing);
        }
    }
}

int pg_result(struct store *store, const char *doing, PGresult **out)
{
    int64_t deadline_ms = clock_monotonic_ms() + store->wait_ms;
    int result;

    *out = NULL;
    if (store->db == NULL) {
        return STORE_E_RETRY; /* the sentence is that of the loss */
    }
    result = pg_flush(store, doing);
    while (result == STORE_OK && PQisBusy(store->db)) {
        result = wait_socket(store, POLLIN, deadline_ms, doing);
        if (result == STORE_OK && PQconsumeInput(store->db) == 0) {
            result = pg_fail(store, NULL, doing);
        }
    }
    if (result == STORE_OK) {
        *out = PQgetResult(store->db);
    }
    return result;
}

int pg_put_copy(struct store *store, const char *bytes, size_t length, const char *doing)
{
    int64_t deadline_ms = clock_monotonic_ms() + store->wait_ms;

    for (;;) {
        int put = PQputCopyData(store->db, bytes, (int)length);
        int result;

        if (put > 0) {
            return STORE_OK;
        }
        if (put < 0) {
            return pg_fail(store, NULL, doing);
        }
        result = wait_socket(store, POLLIN | POLLOUT, deadline_ms, doing);
        if (result != STORE_OK) {
            return result;
        }
        if (PQconsumeInput(store->db) == 0) {
            return pg_fail(store, NULL, doing);
        }
    }
}

/* Takes a result: `last` becomes it, and what was there is freed. */
static int take_result(struct store *store, PGresult *one, PGresult **last, const char *doing)
{
    int result = STORE_OK;

    if (PQresultStatus(one) == PGRES_FATAL_ERROR || PQresultStatus(one) == PGRES_BAD_RESPONSE) {
        result = pg_fail(store, one, doing);
    }
    PQclear(*last);
    *last = one;
    return result;
}

int pg_results(struct store *store, const char *doing, PGresult **out)
{
    PGresult *last = NULL;
    PGresult *one = NULL;
    int first = STORE_OK;

    do {
        int result = pg_result(store, doing, &one);

        if (result == STORE_OK && one != NULL) {
            result = take_result(store, one, &last, doing);
        }
        first = first == STORE_OK ? result : first;
    } while (one != NULL && store->db != NULL);
    if (first != STORE_OK || out == NULL) {
        PQclear(last);
        last = NULL;
    }
    if (out != NULL) {
        *out = last;
    }
    return first;
}

int pg_simple(struct store *store, const char *sql, const char *doing, PGresult **out)
{
    if (out != NULL) {
        *out = NULL;
    }
    if (store->db == NULL || PQsendQuery(store->db, sql) == 0) {
        return pg_fail(store, NULL, doing);
    }
    return pg_results(store, doing, out);
}
