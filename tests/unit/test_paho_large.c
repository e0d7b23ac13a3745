/*
 * Large messages through Paho itself, in both versions of MQTT: what is handed over is the message
 * and not what stands for it, and Paho acknowledges it. And an answer that comes behind a message
 * which takes longer than the limit for answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "mqtt/client_internal.h"
#include "mqtt/mqtt.h"

#define LIMIT   1000
#define PAYLOAD 100000 /* several pieces; its PUBLISH has a remaining length of three bytes */
#define PARTS   5
#define LIMIT_S 60

int real_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                   const struct timespec *deadline) __asm__("__real_pthread_cond_timedwait");
int spy_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                  const struct timespec *deadline) __asm__("__wrap_pthread_cond_timedwait");

/* --- the limit for answers -------------------------------------------------------------------- */

static struct paho *_Atomic client;
static atomic_uint hurried; /* so many waits for an answer end at once, when more has come */
static sem_t may_send;      /* a part of the large message */

static void wait_for_more(const void *connection, unsigned before)
{
    struct timespec begun;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (paho_check_pieces(connection) == before && now.tv_sec < begun.tv_sec + LIMIT_S);
}

/* The time is over for the client, though another part of the message has come. */
int spy_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                  const struct timespec *deadline)
{
    const struct paho *paho = client;
    const void *connection;
    unsigned before;

    if (paho == NULL || mutex != &paho->mutex || hurried == 0) {
        return real_timedwait(condition, mutex, deadline);
    }
    hurried--;
    connection = paho->connection; /* with the mutex held: another thread may clear it */
    before = paho_check_pieces(connection);
    pthread_mutex_unlock(mutex);
    sem_post(&may_send);
    wait_for_more(connection, before);
    pthread_mutex_lock(mutex);
    return ETIMEDOUT;
}

/* --- the broker ------------------------------------------------------------------------------- */

struct broker {
    enum paho_version version;
    int qos;
    int listener;
    pthread_t thread;
    unsigned char answers[8]; /* of Paho to the PUBLISHes */
    size_t answered;
};

static char payload[PAYLOAD];

static bool read_bytes(int fd, unsigned char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t got = read(fd, bytes, count);

        if (got <= 0) {
            return false;
        }
        bytes += got;
        count -= (size_t)got;
    }
    return true;
}

/* Reads a packet with a remaining length of one byte. */
static bool read_packet(int fd, unsigned char bytes[130])
{
    return read_bytes(fd, bytes, 2) && read_bytes(fd, bytes + 2, bytes[1]);
}

static void write_bytes(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;

    while (count > 0) {
        ssize_t put = write(fd, at, count);

        if (put <= 0) {
            return; /* the test's own assertions tell */
        }
        at += put;
        count -= (size_t)put;
    }
}

/* Returns the length of the PUBLISH with everything. */
static size_t make_publish(const struct broker *broker, char out[PAYLOAD + 32])
{
    size_t length =
        2 + 3 + (broker->qos > 0 ? 2U : 0U) + (broker->version == PAHO_MQTT_5) + PAYLOAD;
    size_t at = 0;

    out[at++] = (char)(0x30 | broker->qos << 1);
    out[at++] = (char)((length & 0x7F) | 0x80);
    out[at++] = (char)((length >> 7 & 0x7F) | 0x80);
    out[at++] = (char)(length >> 14);
    memcpy(out + at, "\0\3a/b\0\7", 7);
    at += broker->qos > 0 ? 7 : 5;
    if (broker->version == PAHO_MQTT_5) {
        out[at++] = 0;
    }
    memcpy(out + at, payload, PAYLOAD);
    return at + PAYLOAD;
}

/* CONNECT, SUBSCRIBE, the message in parts, SUBACK, the message again, and a PUBREL for both. */
static void *play(void *argument)
{
    static const char connack[] = "\x20\3\0\0\0";
    static char publish[PAYLOAD + 32];
    struct broker *broker = argument;
    bool is_5 = broker->version == PAHO_MQTT_5;
    size_t length = make_publish(broker, publish);
    unsigned char bytes[130];
    int fd = accept(broker->listener, NULL, NULL);

    read_packet(fd, bytes);
    write_bytes(fd, is_5 ? connack : "\x20\2\0\0", is_5 ? 5 : 4);
    if (read_packet(fd, bytes)) {
        char suback[] = {(char)0x90, is_5 ? 4 : 3, (char)bytes[2], (char)bytes[3], is_5 ? 0 : 2, 2};

        for (size_t part = 0; part < PARTS; part++) {
            while (sem_wait(&may_send) != 0) {
            }
            write_bytes(fd, publish + part * 10, 10);
        }
        write_bytes(fd, publish + PARTS * 10, length - PARTS * 10);
        write_bytes(fd, suback, is_5 ? 6 : 5);
    }
    if (broker->qos > 0) {
        read_bytes(fd, broker->answers, 4);
        publish[0] |= 8;
        write_bytes(fd, publish, length);
        read_bytes(fd, broker->answers + 4, 4);
        broker->answered = 8;
    }
    if (broker->qos == 2) {
        write_bytes(fd, "\x62\2\0\7", 4);
        read_packet(fd, bytes); /* PUBCOMP */
    }
    close(fd);
    return NULL;
}

static void begin(struct broker *broker, char uri[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    broker->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(broker->listener, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(broker->listener, 1), 0);
    assert_int_equal(getsockname(broker->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(uri, 64, "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    assert_int_equal(pthread_create(&broker->thread, NULL, play, broker), 0);
}

/* --- the client ------------------------------------------------------------------------------- */

static atomic_uint messages;
static atomic_uint releases;
static atomic_uint wrong; /* messages that are not the one that was sent */

static void take_message(void *context, const struct paho_message *message)
{
    uint8_t digest[DIGEST_SIZE];
    const int *qos = context;

    messages++;
    wrong += message->qos != *qos || message->topic_length != 3 ||
             memcmp(message->topic, "a/b", 3) != 0 || message->full_length != PAYLOAD ||
             message->payload_length != LIMIT || memcmp(message->payload, payload, LIMIT) != 0 ||
             digest_sha256(payload, PAYLOAD, NULL, 0, digest) != 0 || message->digest == NULL ||
             memcmp(message->digest, digest, DIGEST_SIZE) != 0;
}

static void take_release(void *context)
{
    (void)context;
    releases++;
}

static void talk(enum paho_version version, int qos)
{
    static const unsigned char answers[2][8] = {{0x40, 2, 0, 7, 0x40, 2, 0, 7},
                                                {0x50, 2, 0, 7, 0x50, 2, 0, 7}};
    char uri[64];
    char problem[PAHO_PROBLEM_SIZE] = "";
    struct broker broker = {.version = version, .qos = qos};
    const struct paho_options options = {.uri = uri,
                                         .client_id = "id-test-01",
                                         .version = version,
                                         .receive_maximum = 100,
                                         .session_expiry_s = 3600,
                                         .keepalive_s = 60,
                                         .connect_timeout_s = LIMIT_S};
    const struct paho_handler handler = {
        .message = take_message, .released = take_release, .context = &qos};
    struct paho_answer answer;
    struct paho *paho;
    int granted = 0;

    begin(&broker, uri);
    messages = releases = wrong = 0;
    assert_int_equal(paho_new(&paho, &options, &handler), 0);
    client = paho;
    if (paho_connect(paho, &options, &answer, problem) != PAHO_OK) {
        fail_msg("%s", problem);
    }
    hurried = PARTS;
    if (paho_subscribe(paho, "#", 2, &granted, problem) != PAHO_OK) {
        fail_msg("%s", problem);
    }
    assert_int_equal(hurried, 0);
    assert_int_equal(granted, 2);
    assert_int_equal(paho_wait(paho, LIMIT_S * 1000), PAHO_LOST);
    assert_int_equal(pthread_join(broker.thread, NULL), 0);
    close(broker.listener);
    assert_int_equal(messages, qos > 0 ? 2 : 1);
    assert_int_equal(wrong, 0);
    assert_int_equal(releases, qos == 2 ? 1 : 0);
    if (qos > 0) {
        assert_memory_equal(broker.answers, answers[qos - 1], sizeof(broker.answers));
    }
    client = NULL;
    paho_free(paho);
}

static void messages_of_3_1_1(void **state)
{
    (void)state;
    for (int qos = 0; qos <= 2; qos++) {
        talk(PAHO_MQTT_3_1_1, qos);
    }
}

static void messages_of_5(void **state)
{
    (void)state;
    if (!paho_speaks_5()) {
        skip();
    }
    for (int qos = 0; qos <= 2; qos++) {
        talk(PAHO_MQTT_5, qos);
    }
}

static int set_up(void **state)
{
    char problem[256];

    (void)state;
    log_open(LOG_TARGET_STDERR, NULL, LOG_CRIT, problem, sizeof(problem));
    paho_library_init();
    paho_limit_payload(LIMIT);
    for (size_t i = 0; i < PAYLOAD; i++) {
        payload[i] = (char)(i * 7 + i / 250);
    }
    return sem_init(&may_send, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_3_1_1),
        cmocka_unit_test(messages_of_5),
    };

    if (!paho_checks_packets()) {
        return 0; /* the shared library takes every message as a whole */
    }
    return cmocka_run_group_tests_name("paho_large", tests, set_up, NULL);
}
