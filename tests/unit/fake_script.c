/* The test's side of fake_mqtt.h: what the broker will do, the notes, and what comes while the
 * session waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_mqtt_internal.h"
#include "memory_engine.h"
#include "shifted_clock.h"
#include "unit_wait.h"

#define SILENCE_MS 60000

/* --- shared with the client ------------------------------------------------------------------ */

void fake_set(bool *flag)
{
    pthread_mutex_lock(&fake.mutex);
    *flag = true;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.mutex);
}

void fake_complain(const char *text)
{
    pthread_mutex_lock(&fake.mutex);
    snprintf(fake.complaint, sizeof(fake.complaint), "%s", text);
    pthread_mutex_unlock(&fake.mutex);
}

void fake_close_at_broker(void)
{
    close(fake.link.broker_fd);
    fake.link.broker_fd = -1;
    fake_link_wait_end(&fake.link);
}

/* --- notes ---------------------------------------------------------------------------------- */

/* With the mutex. */
static void append(const char *text)
{
    size_t length = strlen(fake.notes);

    snprintf(fake.notes + length, FAKE_NOTES_SIZE - length, "%s", text);
}

/* With the mutex: notes what was committed since the last time. */
static void note_commits(void)
{
    char *history = memory_history(fake.store);

    append(history + fake.history_seen);
    fake.history_seen = strlen(history);
    free(history);
}

void fake_note_packet(const char *packet)
{
    char text[FAKE_LINE_SIZE + 16];

    if (fake.link.address > 0) {
        snprintf(text, sizeof(text), "%s/%d ", packet, fake.link.address);
    } else {
        snprintf(text, sizeof(text), "%s ", packet);
    }
    pthread_mutex_lock(&fake.mutex);
    note_commits();
    append(text);
    pthread_mutex_unlock(&fake.mutex);
}

/* --- for tests ------------------------------------------------------------------------------ */

void fake_mqtt_begin(struct store *store)
{
    char *history = memory_history(store);

    fake.answers_given = fake.answers_used = 0;
    memset(fake.grants, 0, sizeof(fake.grants));
    fake.hook_name = NULL;
    fake.after_connack = NULL;
    fake.fails_new = fake.fails_question = fake.unstuck = fake.cannot_5 = false;
    fake.keepalive_s = fake.expiry_s = -1;
    fake.disconnect_code = 0;
    fake.waits = fake.waits_returned = 0;
    fake.complaint[0] = '\0';
    fake.notes[0] = '\0';
    fake.store = store;
    fake.history_seen = strlen(history);
    free(history);
}

void fake_mqtt_end(void)
{
    assert_null(fake.client);
    fake.store = NULL;
}

void fake_mqtt_answer(enum fake_answer answer)
{
    assert_true(fake.answers_given < FAKE_ANSWERS);
    pthread_mutex_lock(&fake.mutex);
    fake.answers[fake.answers_given++] = answer;
    pthread_mutex_unlock(&fake.mutex);
}

void fake_mqtt_set_keepalive(int keepalive_s)
{
    fake.keepalive_s = keepalive_s;
}

void fake_mqtt_set_expiry(int expiry_s)
{
    fake.expiry_s = expiry_s;
}

void fake_mqtt_speak_5(bool speaks_5)
{
    fake.cannot_5 = !speaks_5;
}

void fake_mqtt_unstick(void)
{
    fake_set(&fake.unstuck);
}

void fake_mqtt_grant(const char *filter, int qos)
{
    int place = 0;

    while (fake.grants[place].filter != NULL && strcmp(fake.grants[place].filter, filter) != 0) {
        place++;
        assert_true(place < FAKE_GRANTS);
    }
    pthread_mutex_lock(&fake.mutex);
    fake.grants[place].filter = filter;
    fake.grants[place].qos = qos;
    pthread_mutex_unlock(&fake.mutex);
}

void fake_mqtt_before_answer(const char *name, void (*function)(void *context), void *context)
{
    pthread_mutex_lock(&fake.mutex);
    fake.hook_name = name;
    fake.hook = function;
    fake.hook_context = context;
    pthread_mutex_unlock(&fake.mutex);
}

void fake_mqtt_after_connack(void (*function)(void *context), void *context)
{
    pthread_mutex_lock(&fake.mutex);
    fake.after_connack = function;
    fake.after_connack_context = context;
    pthread_mutex_unlock(&fake.mutex);
}

void fake_mqtt_hang_up(void *context)
{
    (void)context;
    fake_close_at_broker();
}

void fake_mqtt_fail_new(void)
{
    fake.fails_new = true;
}

void fake_mqtt_fail_question(void)
{
    fake.fails_question = true;
}

static bool waits_anew(void *context)
{
    bool result;

    (void)context;
    pthread_mutex_lock(&fake.mutex);
    result = fake.waiting && fake.waits > fake.waits_returned;
    pthread_mutex_unlock(&fake.mutex);
    return result;
}

int fake_mqtt_next_wait(void)
{
    int wait_ms;

    unit_wait(waits_anew, NULL, "the session's next wait");
    pthread_mutex_lock(&fake.mutex);
    fake.waits_returned = fake.waits;
    wait_ms = fake.wait_ms;
    pthread_mutex_unlock(&fake.mutex);
    return wait_ms;
}

const char *fake_mqtt_notes(void)
{
    static char copy[FAKE_NOTES_SIZE];

    pthread_mutex_lock(&fake.mutex);
    note_commits();
    snprintf(copy, sizeof(copy), "%s", fake.notes);
    pthread_mutex_unlock(&fake.mutex);
    return copy;
}

int fake_mqtt_connect_timeout_s(void)
{
    return fake.connect_timeout_s;
}

int fake_mqtt_keepalive_s(void)
{
    return fake.asked_keepalive_s;
}

void fake_mqtt_pass_time(void)
{
    pthread_mutex_lock(&fake.mutex);
    shifted_clock_pass(fake.wait_ms);
    pthread_mutex_unlock(&fake.mutex);
    fake_set(&fake.time_passes);
}

void fake_mqtt_lose(enum fake_loss how)
{
    switch (how) {
    case FAKE_BY_BROKER:
        fake_close_at_broker();
        break;
    case FAKE_BY_SILENCE:
        shifted_clock_pass(SILENCE_MS);
        break;
    case FAKE_BY_COMPLAINT:
        fake_complain("the broker sent a malformed PUBLISH");
        break;
    case FAKE_BY_DAEMON:
        fake_link_wait_end(&fake.link);
        break;
    case FAKE_LATE:
        break;
    }
    fake.connected = false;
    fake_set(&fake.lost);
}

void fake_mqtt_disconnect(int code, const char *sentence)
{
    pthread_mutex_lock(&fake.mutex);
    fake.disconnect_code = code;
    snprintf(fake.disconnect, sizeof(fake.disconnect), "%s", sentence);
    pthread_mutex_unlock(&fake.mutex);
    fake_mqtt_lose(FAKE_BY_BROKER);
}

static void deliver(const char *topic, const void *payload, size_t length, int qos,
                    bool is_repeated)
{
    const struct paho_message message = {
        .topic = topic,
        .topic_length = strlen(topic),
        .payload = payload,
        .payload_length = length,
        .full_length = length,
        .qos = qos,
        .is_repeated = is_repeated,
    };
    struct paho *to = fake.question != NULL ? fake.question : fake.client;

    to->handler.message(to->handler.context, &message);
    if (qos > 0) {
        (void)!fake_link_write(&fake.link, qos == 2 ? "PUBREC" : "PUBACK");
    }
}

void fake_mqtt_deliver(const char *topic, const void *payload, size_t length, int qos)
{
    deliver(topic, payload, length, qos, false);
}

void fake_mqtt_repeat(const char *topic, const void *payload, size_t length)
{
    deliver(topic, payload, length, 2, true);
}

void fake_mqtt_release(void)
{
    fake.client->handler.released(fake.client->handler.context);
}

bool fake_mqtt_arrives(void)
{
    char line[FAKE_LINE_SIZE];

    if (!fake_link_read(&fake.link, -1, line)) {
        return false;
    }
    fake_note_packet(line);
    return true;
}
