/*
 * The status of a session: copies for other threads. Never calls Paho.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "session/session_internal.h"

void session_status(struct session *session, struct session_status *out)
{
    pthread_mutex_lock(&session->mutex);
    *out = session->status;
    pthread_mutex_unlock(&session->mutex);
}

void session_granted(struct session *session, int granted[])
{
    pthread_mutex_lock(&session->mutex);
    memcpy(granted, session->granted, session->own->filter_count * sizeof(*granted));
    pthread_mutex_unlock(&session->mutex);
}

void session_note_error(struct session *session, const char *problem)
{
    pthread_mutex_lock(&session->mutex);
    snprintf(session->status.last_error, sizeof(session->status.last_error), "%s", problem);
    session->status.last_error_ms = clock_wall_ms();
    pthread_mutex_unlock(&session->mutex);
}

void session_note_granted(struct session *session, size_t filter, int qos)
{
    pthread_mutex_lock(&session->mutex);
    session->granted[filter] = qos;
    pthread_mutex_unlock(&session->mutex);
}

/* A new session has no subscriptions. */
void session_forget_granted(struct session *session)
{
    pthread_mutex_lock(&session->mutex);
    for (size_t i = 0; i < session->own->filter_count; i++) {
        session->granted[i] = SESSION_NOT_GRANTED;
    }
    pthread_mutex_unlock(&session->mutex);
}
