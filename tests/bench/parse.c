/*
 * How fast the library parses, and that it stays fast whatever a body is written with.
 *
 *     parse [--kind NAME] [--messages N] [--least-ratio R]
 *
 * The bodies say the same in different ways: plain ASCII, characters beyond ASCII, escapes, arrays,
 * and all of these. Each is parsed in turn, in many short rounds, and the fastest round counts, so
 * that other work on the machine disturbs all kinds alike. Prints messages a second and the ratio
 * to the plain body; with --least-ratio, exits 1 if a ratio is below it. --kind parses one kind
 * alone, for callgrind.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "foxtrackr.h"

#define ENVELOPE "{\"messageType\":1,\"deviceId\":\"1BBCE\",\"version\":3,\"timeMs\":1767225600000,"
#define BATTERY  "\"battery\":{\"voltage\":3.712,\"level\":80,"
#define TOPIC    "foxtrackr/1BBCE/V3.0/bat"
#define NOW_MS   INT64_C(1767225600000)
#define ROUNDS   400

static const struct {
    const char *name;
    const char *payload;
} kinds[] = {
    {"plain",
     ENVELOPE BATTERY "\"charging\":false},\"place\":\"Tuerkei\",\"cell\":{\"a\":262,\"b\":1}}"},
    {"utf-8", ENVELOPE BATTERY
     "\"charging\":false},\"place\":\"T\xc3\xbcrkei\",\"cell\":{\"a\":262,\"b\":1}}"},
    {"escape", ENVELOPE BATTERY
     "\"charging\":false},\"place\":\"T\\u00fcrkei\",\"cell\":{\"a\":262,\"b\":1}}"},
    {"array", ENVELOPE BATTERY "\"charging\":false},\"place\":\"Tuerkei\",\"cell\":[262,1]}"},
    {"all",
     ENVELOPE BATTERY "\"charging\":false},\"place\":\"T\xc3\xbcr\\u006bei\",\"cell\":[262,1]}"},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct foxtrackr_fields *fields;

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds for so many messages. */
static double parse(const char *payload, long messages)
{
    size_t length = strlen(payload);
    double start_s = now_s();

    for (long i = 0; i < messages; i++) {
        struct foxtrackr_message message;
        struct foxtrackr_problem problem;

        if (foxtrackr_message_parse(fields, NOW_MS, 0, TOPIC, strlen(TOPIC), payload, length,
                                    &message, &problem)) {
            fprintf(stderr, "parse: not parsed: %s\n", payload);
            exit(1);
        }
        foxtrackr_message_clear(&message);
    }
    return now_s() - start_s;
}

static int compare(long messages, double least_ratio)
{
    double best_s[KINDS];
    int result = 0;

    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < KINDS; i++) {
            double took_s = parse(kinds[i].payload, messages / ROUNDS);

            best_s[i] = round == 0 || took_s < best_s[i] ? took_s : best_s[i];
        }
    }
    for (size_t i = 0; i < KINDS; i++) {
        double ratio = best_s[0] / best_s[i];

        printf("%-8s %10.0f messages/s  %.2f of plain\n", kinds[i].name,
               (double)(messages / ROUNDS) / best_s[i], ratio);
        if (ratio < least_ratio) {
            fprintf(stderr, "parse: %s: below %.2f of plain\n", kinds[i].name, least_ratio);
            result = 1;
        }
    }
    return result;
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {{"kind", required_argument, NULL, 'k'},
                                            {"messages", required_argument, NULL, 'n'},
                                            {"least-ratio", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    const char *kind = NULL;
    double least_ratio = 0;
    long messages = 1000000;
    int result = 2;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'k') {
            kind = optarg;
        } else if (option == 'n') {
            messages = atol(optarg);
        } else if (option == 'r') {
            least_ratio = atof(optarg);
        } else {
            return 2;
        }
    }
    if (messages < ROUNDS || foxtrackr_fields_new(&fields)) {
        return 2;
    }
    if (!kind) {
        result = compare(messages, least_ratio);
    }
    for (size_t i = 0; kind && i < KINDS; i++) {
        if (strcmp(kind, kinds[i].name) == 0) {
            printf("%.0f messages/s\n", (double)messages / parse(kinds[i].payload, messages));
            result = 0;
        }
    }
    foxtrackr_fields_free(fields);
    return result;
}
