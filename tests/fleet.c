/*
 * fleet: plays a fleet of trackers to a broker, for the system tests, the demo and measurements.
 *
 * The published messages depend on the options and the seed alone (story.c), so --print shows
 * exactly what a broker would get, and the manifest what the daemon must make of it. --register
 * makes a durable session instead: connect with clean_session = 0, subscribe, disconnect; from then
 * on the broker keeps a queue for that client id.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "publisher.h"
#include "story.h"

#define DAY_S 86400.0

static const char usage[] =
    "usage: fleet [OPTION]...                publish a fleet's readings\n"
    "       fleet --print [OPTION]...        print them instead: topic, tab, payload\n"
    "       fleet --register ID [OPTION]...  make a durable session, publish nothing\n"
    "  --host NAME (localhost)    --port N (8883, or 1883 with --no-tls)\n"
    "  --tls (default), --no-tls  --ca FILE\n"
    "  --username NAME            --password-file FILE     --client-id ID\n"
    "  --devices N (12)           --groups N (3)           --group-topics\n"
    "  --days D (7)               --interval SECONDS (1800), or --messages N\n"
    "  --end-ms MS (now)          --qos N (2)              --retain\n"
    "  --garbage N                --other N                --oversize N\n"
    "  --max-payload BYTES (262144)                        --manifest FILE\n"
    "  --seed N (1)               --rate MESSAGES/S        --window N (20)\n"
    "  --grouped N (all)          --skip N                 --limit N\n"
    "  --silent N                 --pauses N               --warm N\n"
    "  --truth FILE\n"
    "  --filter FILTER...         --sub-qos N (2)          with --register\n"
    "Counts are of readings; --group-topics publishes each of them twice. --silent, --pauses and\n"
    "--warm are devices, and --truth says which. --skip and --limit publish a part of the "
    "messages:\n"
    "with the same --end-ms, the parts make up the whole. Manifest and truth are those of the "
    "whole.\n";

struct fleet {
    struct publisher_options broker;
    struct story_options story;
    char password[256];
    const char *register_id;
    char *filters[PUBLISHER_FILTERS_MAX];
    int filter_count;
    const char *manifest;
    const char *truth;
    bool print;
    double rate; /* messages a second; 0: as fast as the broker takes them */
    struct publisher *publisher;
    struct timespec begun;
    int64_t skip;
    int64_t limit;
    int64_t told; /* messages of the story so far */
    int64_t sent;
};

enum fleet_option {
    OPTION_HOST = 256,
    OPTION_PORT,
    OPTION_TLS,
    OPTION_NO_TLS,
    OPTION_CA,
    OPTION_USERNAME,
    OPTION_PASSWORD_FILE,
    OPTION_CLIENT_ID,
    OPTION_REGISTER,
    OPTION_FILTER,
    OPTION_GROUP_TOPICS,
    OPTION_RETAIN,
    OPTION_PRINT,
    OPTION_MANIFEST,
    OPTION_TRUTH,
    OPTION_HELP,
    OPTION_NUMBER, /* this and what follows: numbers[option - OPTION_NUMBER] */
};

enum {
    DEVICES,
    GROUPS,
    DAYS,
    INTERVAL,
    MESSAGES,
    END_MS,
    QOS,
    SUB_QOS,
    GARBAGE,
    OTHER,
    OVERSIZE,
    MAX_PAYLOAD,
    SEED,
    RATE,
    WINDOW,
    GROUPED,
    SILENT,
    PAUSES,
    WARM,
    SKIP,
    LIMIT,
    NUMBERS
};

/* The options that are numbers: the default, and what is allowed. */
static const struct {
    const char *name;
    double value;
    double least;
    double most;
} numbers[NUMBERS] = {
    [DEVICES] = {"devices", 12, 1, 60000},
    [GROUPS] = {"groups", 3, 1, 60000},
    [DAYS] = {"days", 7, 0, 3650},
    [INTERVAL] = {"interval", 1800, 0.001, 86400 * 365.0},
    [MESSAGES] = {"messages", 0, 0, 1e9},
    [END_MS] = {"end-ms", 0, 0, 1e15},
    [QOS] = {"qos", 2, 0, 2},
    [SUB_QOS] = {"sub-qos", 2, 0, 2},
    [GARBAGE] = {"garbage", 0, 0, 1e9},
    [OTHER] = {"other", 0, 0, 1e9},
    [OVERSIZE] = {"oversize", 0, 0, 1000},
    [MAX_PAYLOAD] = {"max-payload", 262144, 1024, 1 << 26},
    [SEED] = {"seed", 1, 0, 1e15},
    [RATE] = {"rate", 0, 0, 1e6},
    /* mosquitto drops a publisher with more in flight than its max_inflight_messages, 20. */
    [WINDOW] = {"window", 20, 1, 60000},
    [GROUPED] = {"grouped", 60000, 0, 60000},
    [SILENT] = {"silent", 0, 0, 60000},
    [PAUSES] = {"pauses", 0, 0, 60000},
    [WARM] = {"warm", 0, 0, 60000},
    [SKIP] = {"skip", 0, 0, 1e10},
    [LIMIT] = {"limit", 1e10, 0, 1e10},
};

static void usage_error(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void usage_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("fleet: ", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n%s", usage);
    exit(EX_USAGE);
}

static double parse_number(const char *name, const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= least && value <= most)) {
        usage_error("--%s: %s is not a number from %.15g to %.15g", name, text, least, most);
    }
    return value;
}

static void read_password(struct fleet *fleet, const char *path)
{
    FILE *file = fopen(path, "re");

    if (file == NULL || fgets(fleet->password, sizeof fleet->password, file) == NULL) {
        err(EXIT_FAILURE, "no password in %s", path);
    }
    fclose(file);
    fleet->password[strcspn(fleet->password, "\r\n")] = '\0';
    fleet->broker.password = fleet->password;
}

static void apply_option(struct fleet *fleet, int option, char *value)
{
    switch ((enum fleet_option)option) {
    case OPTION_HOST:
        fleet->broker.host = value;
        break;
    case OPTION_PORT:
        fleet->broker.port = (int)parse_number("port", value, 1, 65535);
        break;
    case OPTION_TLS:
        fleet->broker.tls = true;
        break;
    case OPTION_NO_TLS:
        fleet->broker.tls = false;
        break;
    case OPTION_CA:
        fleet->broker.ca_file = value;
        break;
    case OPTION_USERNAME:
        fleet->broker.username = value;
        break;
    case OPTION_PASSWORD_FILE:
        read_password(fleet, value);
        break;
    case OPTION_CLIENT_ID:
        fleet->broker.client_id = value;
        break;
    case OPTION_REGISTER:
        fleet->register_id = value;
        break;
    case OPTION_FILTER:
        if (fleet->filter_count == PUBLISHER_FILTERS_MAX) {
            usage_error("more than %d filters", PUBLISHER_FILTERS_MAX);
        }
        fleet->filters[fleet->filter_count++] = value;
        break;
    case OPTION_GROUP_TOPICS:
        fleet->story.group_topics = true;
        break;
    case OPTION_RETAIN:
        fleet->broker.retain = true;
        break;
    case OPTION_PRINT:
        fleet->print = true;
        break;
    case OPTION_MANIFEST:
        fleet->manifest = value;
        break;
    case OPTION_TRUTH:
        fleet->truth = value;
        break;
    case OPTION_HELP:
        fputs(usage, stdout);
        exit(EXIT_SUCCESS);
    default:
        usage_error("see the options above");
    }
}

/* Readings that --interval asks for, an even number for each device. */
static int64_t readings_by_interval(const double value[NUMBERS])
{
    return 2 * (int64_t)value[DEVICES] * (int64_t)floor(value[DAYS] * DAY_S / value[INTERVAL]);
}

static void apply_numbers(struct fleet *fleet, const double value[NUMBERS], bool messages_given)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    fleet->story.devices = (int)value[DEVICES];
    fleet->story.groups = (int)value[GROUPS];
    fleet->story.span_ms = (int64_t)(value[DAYS] * DAY_S * 1000);
    fleet->story.readings = messages_given ? (int64_t)value[MESSAGES] : readings_by_interval(value);
    fleet->story.end_ms = value[END_MS] > 0 ? (int64_t)value[END_MS]
                                            : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    fleet->story.garbage = (int64_t)value[GARBAGE];
    fleet->story.other = (int64_t)value[OTHER];
    fleet->story.oversize = (int64_t)value[OVERSIZE];
    fleet->story.max_payload = (size_t)value[MAX_PAYLOAD];
    fleet->story.seed = (uint64_t)value[SEED];
    fleet->story.grouped = (int)value[GROUPED];
    fleet->story.silent = (int)value[SILENT];
    fleet->story.pauses = (int)value[PAUSES];
    fleet->story.warm = (int)value[WARM];
    fleet->skip = (int64_t)value[SKIP];
    fleet->limit = (int64_t)value[LIMIT];
    fleet->broker.qos = (int)value[fleet->register_id != NULL ? SUB_QOS : QOS];
    fleet->broker.window = (int)value[WINDOW];
    fleet->rate = value[RATE];
}

static const struct {
    const char *name;
    int argument;
    enum fleet_option option;
} names[] = {
    {"host", required_argument, OPTION_HOST},
    {"port", required_argument, OPTION_PORT},
    {"tls", no_argument, OPTION_TLS},
    {"no-tls", no_argument, OPTION_NO_TLS},
    {"ca", required_argument, OPTION_CA},
    {"username", required_argument, OPTION_USERNAME},
    {"password-file", required_argument, OPTION_PASSWORD_FILE},
    {"client-id", required_argument, OPTION_CLIENT_ID},
    {"register", required_argument, OPTION_REGISTER},
    {"filter", required_argument, OPTION_FILTER},
    {"group-topics", no_argument, OPTION_GROUP_TOPICS},
    {"retain", no_argument, OPTION_RETAIN},
    {"print", no_argument, OPTION_PRINT},
    {"manifest", required_argument, OPTION_MANIFEST},
    {"truth", required_argument, OPTION_TRUTH},
    {"help", no_argument, OPTION_HELP},
};

#define NAMES ((int)(sizeof(names) / sizeof(names[0])))

/* Makes getopt_long()'s options from the two tables; `all` ends with a zeroed element. */
static void list_options(struct option all[])
{
    for (int i = 0; i < NAMES; i++) {
        all[i] = (struct option){names[i].name, names[i].argument, NULL, (int)names[i].option};
    }
    for (int i = 0; i < NUMBERS; i++) {
        all[NAMES + i] =
            (struct option){numbers[i].name, required_argument, NULL, (int)OPTION_NUMBER + i};
    }
}

static void parse_options(struct fleet *fleet, int argc, char **argv)
{
    struct option all[sizeof(names) / sizeof(names[0]) + NUMBERS + 1] = {0};
    double value[NUMBERS];
    bool given[NUMBERS] = {0};
    int option;

    list_options(all);
    for (int i = 0; i < NUMBERS; i++) {
        value[i] = numbers[i].value;
    }
    while ((option = getopt_long(argc, argv, "", all, NULL)) != -1) {
        int i = option - (int)OPTION_NUMBER;

        if (i >= 0 && i < NUMBERS) {
            value[i] = parse_number(numbers[i].name, optarg, numbers[i].least, numbers[i].most);
            given[i] = true;
        } else {
            apply_option(fleet, option, optarg);
        }
    }
    if (optind != argc) {
        usage_error("%s is not an option", argv[optind]);
    }
    apply_numbers(fleet, value, given[MESSAGES]);
}

static void check_options(struct fleet *fleet)
{
    const struct story_options *story = &fleet->story;
    int64_t round = 2 * (int64_t)story->devices;

    if (fleet->register_id != NULL && fleet->filter_count == 0) {
        usage_error("--register needs at least one --filter");
    }
    if (fleet->register_id == NULL && story->readings == 0) {
        usage_error("there is nothing to publish");
    }
    /* Otherwise two readings of a device would have one time. */
    if (fleet->register_id == NULL && story->readings > round &&
        story->span_ms < (story->readings + round - 1) / round) {
        usage_error("%lld readings of a device do not fit in %lld ms",
                    (long long)(story->readings / round), (long long)story->span_ms);
    }
    if (fleet->broker.port == 0) {
        fleet->broker.port = fleet->broker.tls ? 8883 : 1883;
    }
    if (fleet->register_id != NULL) {
        fleet->broker.client_id = fleet->register_id;
        fleet->broker.durable = true;
    }
}

/* Whether the next message of the story is in the part that --skip and --limit choose. */
static bool in_part(struct fleet *fleet)
{
    int64_t n = fleet->told++;

    return n >= fleet->skip && n - fleet->skip < fleet->limit;
}

/* A message as a line: topic, tab, payload, with every byte that is not plain text as \xNN. */
static void print_message(void *context, const char *topic, const void *payload, size_t length)
{
    const unsigned char *bytes = payload;

    if (!in_part(context)) {
        return;
    }
    printf("%s\t", topic);
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '\\') {
            putchar(bytes[i]);
        } else {
            printf("\\x%02x", bytes[i]);
        }
    }
    putchar('\n');
}

/* Sleep until it is this message's turn. */
static void keep_rate(const struct fleet *fleet)
{
    struct timespec until = fleet->begun;
    double after_s;

    if (fleet->rate <= 0) {
        return;
    }
    after_s = (double)fleet->sent / fleet->rate;
    until.tv_sec += (time_t)after_s;
    until.tv_nsec += (long)((after_s - floor(after_s)) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
        ;
    }
}

static void publish_message(void *context, const char *topic, const void *payload, size_t length)
{
    struct fleet *fleet = context;

    if (!in_part(fleet)) {
        return;
    }
    keep_rate(fleet);
    publisher_publish(fleet->publisher, topic, payload, length);
    fleet->sent++;
}

static void publish(struct fleet *fleet, FILE *manifest, FILE *truth)
{
    struct timespec now;
    double seconds;

    fleet->publisher = publisher_open(&fleet->broker);
    clock_gettime(CLOCK_MONOTONIC, &fleet->begun);
    story_tell(&fleet->story, manifest, truth, publish_message, fleet);
    publisher_close(fleet->publisher);
    clock_gettime(CLOCK_MONOTONIC, &now);
    seconds = (double)(now.tv_sec - fleet->begun.tv_sec) +
              (double)(now.tv_nsec - fleet->begun.tv_nsec) / 1e9;
    printf("published %lld messages in %.1f s\n", (long long)fleet->sent, seconds);
}

/* Opens a file to write; a path of NULL gives NULL. */
static FILE *open_to_write(const char *path)
{
    FILE *file = path != NULL ? fopen(path, "we") : NULL;

    if (path != NULL && file == NULL) {
        err(EXIT_FAILURE, "cannot write %s", path);
    }
    return file;
}

static void close_written(FILE *file)
{
    if (file != NULL && fclose(file) != 0) {
        err(EXIT_FAILURE, "cannot write everything");
    }
}

int main(int argc, char **argv)
{
    struct fleet fleet = {.broker = {.host = "localhost", .tls = true}};
    FILE *manifest, *truth;

    parse_options(&fleet, argc, argv);
    check_options(&fleet);
    if (fleet.register_id != NULL) {
        fleet.publisher = publisher_open(&fleet.broker);
        publisher_subscribe(fleet.publisher, fleet.filters, fleet.filter_count, fleet.broker.qos);
        publisher_close(fleet.publisher);
        return EXIT_SUCCESS;
    }
    manifest = open_to_write(fleet.manifest);
    truth = open_to_write(fleet.truth);
    if (fleet.print) {
        story_tell(&fleet.story, manifest, truth, print_message, &fleet);
    } else {
        publish(&fleet, manifest, truth);
    }
    close_written(manifest);
    close_written(truth);
    if (fflush(stdout) != 0) {
        err(EXIT_FAILURE, "cannot write everything");
    }
    return EXIT_SUCCESS;
}
