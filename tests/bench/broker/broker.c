/* The sessions by client id, and the counts and times that the benchmark reports. */
#include "broker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PROGRESS_NS (INT64_C(10) * 1000000000)

int64_t broker_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static double cpu_s(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct session *broker_session(struct broker *broker, const char *client_id, size_t length,
                               bool *present)
{
    for (unsigned i = 0; i < broker->options.sessions; i++) {
        struct session *session = &broker->sessions[i];

        *present = strlen(session->client_id) == length && length > 0 &&
                   memcmp(session->client_id, client_id, length) == 0;
        if (*present) {
            broker->reconnects++;
            return session;
        }
        if (session->client_id[0] == '\0' && length < SESSION_CLIENT_ID_SIZE) {
            memcpy(session->client_id, client_id, length);
            return session;
        }
    }
    return NULL;
}

bool broker_all_subscribed(const struct broker *broker)
{
    for (unsigned i = 0; i < broker->options.sessions; i++) {
        if (!broker->sessions[i].subscribed) {
            return false;
        }
    }
    return true;
}

void broker_note_start(struct broker *broker)
{
    if (broker->first_ns == 0) {
        broker->first_ns = broker_now_ns();
        broker->cpu_first_s = cpu_s();
    }
}

static void show_progress(const struct broker *broker)
{
    static int64_t said_ns;

    if (said_ns == 0) {
        said_ns = broker->first_ns;
    }
    if (broker->last_ns - said_ns >= PROGRESS_NS) {
        said_ns = broker->last_ns;
        fprintf(stderr, "broker: %" PRIu64 " of %" PRIu64 " acknowledged, %.0f a second\n",
                broker->acknowledged, broker->options.count,
                (double)broker->acknowledged * 1e9 / (double)(said_ns - broker->first_ns));
    }
}

void broker_note_acknowledged(struct broker *broker)
{
    broker->acknowledged++;
    if (broker->acknowledged % 1024 == 0 || broker->acknowledged == broker->options.count) {
        broker->last_ns = broker_now_ns();
        show_progress(broker);
    }
    if (broker->options.mark > 0 && broker->acknowledged % broker->options.mark == 0 &&
        broker->mark_count < OPTIONS_MARKS_MAX) {
        broker->marks_s[broker->mark_count++] = (double)(broker_now_ns() - broker->first_ns) / 1e9;
    }
}

void broker_report(const struct broker *broker)
{
    double seconds = (double)(broker->last_ns - broker->first_ns) / 1e9;
    uint64_t resent = 0;

    for (unsigned i = 0; i < broker->options.sessions; i++) {
        resent += broker->sessions[i].resent;
    }
    printf("{\"messages\":%" PRIu64 ",\"seconds\":%.6f,\"rate\":%.1f,\"cpu_seconds\":%.3f,"
           "\"resent\":%" PRIu64 ",\"reconnects\":%u,\"marks\":[",
           broker->acknowledged, seconds, (double)broker->acknowledged / seconds,
           cpu_s() - broker->cpu_first_s, resent, broker->reconnects);
    for (unsigned i = 0; i < broker->mark_count; i++) {
        printf("%s%.6f", i > 0 ? "," : "", broker->marks_s[i]);
    }
    puts("]}");
    fflush(stdout);
}
