/*
 * An inbox over a real store, batches as the writer makes them, and a record of what was handed
 * out. A message is named by its topic and a number: a1 is the first one on the topic of a. What is
 * handed out becomes a row, so that the run's counts tell what came once and what came again. Of
 * messages with an odd number, and of those with a padding, the inbox is told what they say.
 */
#ifndef INBOX_FIXTURE_H
#define INBOX_FIXTURE_H

#include "store_fixture.h"

#include "store/sqlite/inbox_internal.h"
#include "store/sqlite/inbox_tables_internal.h"

#define CLIENT_ID    "id-test-01"
#define NAME_OF_63   "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd1"
#define NAME_OF_64   "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd12"
#define FAMILY_OF_64 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff12"
#define KIND_MS      10000000 /* apart are the times of two topics' first messages */

struct kind {
    char letter;
    const char *topic;
    const char *family;
    const char *device_id;
    const char *group;
    bool known; /* the device is, from the beginning; their numbers are in this order */
    bool is_temperature;
};

static const char *extra_of_all; /* NULL: none */
static const char *padding;      /* of an extra that has the message's number; NULL: none */

static const struct kind kinds[] = {
    {'a', "foxtrackr/a/V3.0/bat", "foxtrackr", "a", NULL, true, false},
    {'b', "foxtrackr/b/V3.0/bat", "foxtrackr", "b", NULL, true, false},
    {'c', "foxtrackr/c/V3.0/bat", "foxtrackr", "c", NULL, true, false},
    {'l', "foxtrackr/" NAME_OF_63 "/V3.0/bat", "foxtrackr", NAME_OF_63, NULL, true, false},
    {'m', "foxtrackr/" NAME_OF_64 "/V3.0/bat", "foxtrackr", NAME_OF_64, NULL, true, false},
    {'f', FAMILY_OF_64 "/f/V3.0/bat", FAMILY_OF_64, "f", NULL, true, false},
    {'A', "FoxTrackR/a/V3.1/bat", "foxtrackr", "a", NULL, false, false},
    {'x', "foxtrackr/x/V3.0/bat", "foxtrackr", "x", NULL, false, false},
    {'y', "foxtrackr/y/V3.0/bat", "foxtrackr", "y", NULL, false, false},
    {'g', "foxtrackr/depot/V3.0/bat", "foxtrackr", "a", "depot", false, false},
    {'t', "foxtrackr/a/V3.0", "foxtrackr", "t", NULL, false, false},
    {'T', "foxtrackr/a/V3.0/temp", "foxtrackr", "a", NULL, false, true},
    {'v', "foxtrackr/a/V4.0/bat", "foxtrackr", "v", NULL, false, false},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct used {
    char letter;
    bool directly; /* the inbox did not take it */
    unsigned number;
};

/* With what a batch begins, and what comes with it. */
struct batch {
    const char *put; /* "a1 b1" */
    int64_t ms;      /* after the batch before it */
    uint64_t most;   /* to be sorted in; 0: any number */
    bool lull;       /* nothing comes any more, or not for a while */
};

#define NAME_SIZE 16
#define NAMES     (2 * STORE_INBOX_TOGETHER)

struct story {
    struct fixture *fixture;
    struct inbox *inbox;
    int64_t now_ms;
    struct used *used;
    size_t count;
    size_t on_disk; /* so many of them are in batches that were committed */
    size_t room;
    unsigned rows; /* handed out as such */
    int countdown; /* steps of batches until one of them fails; 0: none does */
    bool idle;     /* the writer would be, if it did not sort in */
    char names[NAMES][NAME_SIZE];
    unsigned next_name;
};

static inline const struct kind *kind_of(char letter)
{
    size_t i = 0;

    while (i < KINDS && kinds[i].letter != letter) {
        i++;
    }
    assert_true(i < KINDS);
    return &kinds[i];
}

static inline int strikes(struct story *story)
{
    return story->countdown > 0 && --story->countdown == 0 ? STORE_E_RETRY : STORE_OK;
}

static inline void note_used(struct story *story, struct used used)
{
    if (story->count == story->room) {
        story->room = 2 * story->room + 1024;
        story->used = realloc(story->used, story->room * sizeof(struct used));
        assert_non_null(story->used);
    }
    story->used[story->count++] = used;
}

static inline struct foxtrackr_message message_of(char letter, unsigned number)
{
    const struct kind *kind = kind_of(letter);
    struct foxtrackr_message message =
        battery(kind->device_id, (kind - kinds) * KIND_MS + number, 3.7);

    static char numbered[512];
    const char *extra = extra_of_all;

    if (padding != NULL) {
        snprintf(numbered, sizeof(numbered), "{\"number\":%u,\"padding\":\"%s\"}", number, padding);
        extra = numbered;
    }
    message.family = kind->family;
    message.group = kind->group;
    if (kind->is_temperature) {
        message.has_battery = false;
        message.voltage_v = NAN;
        message.has_temperature = true;
        message.celsius = 21.5;
        message.temperature_extra = extra;
    } else {
        message.battery_extra = extra;
    }
    return message;
}

static inline int make_row(struct story *story, char letter, unsigned number,
                           const struct store_packet *whole)
{
    const struct foxtrackr_message message = message_of(letter, number);
    enum store_outcome outcome;

    return store_message(story->fixture->store, &message, whole, &outcome);
}

static inline int use_message(struct story *story, const struct store_packet *whole, bool directly)
{
    struct used used = {.directly = directly};
    char name[16];
    int result;

    assert_true(whole->payload_length < sizeof(name));
    memcpy(name, whole->payload, whole->payload_length);
    name[whole->payload_length] = '\0';
    assert_int_equal(sscanf(name, "%c%u", &used.letter, &used.number), 2);
    assert_int_equal(whole->topic_length, strlen(kind_of(used.letter)->topic));
    assert_memory_equal(whole->topic, kind_of(used.letter)->topic, whole->topic_length);
    assert_int_equal(whole->received_ms, NOW_MS + used.number);
    result = make_row(story, used.letter, used.number, whole);
    if (result == STORE_OK) {
        note_used(story, used);
        result = strikes(story);
    }
    return result;
}

static inline int use(void *context, const char *client_id, const struct store_packet *whole)
{
    assert_string_equal(client_id, CLIENT_ID);
    return use_message(context, whole, false);
}

static inline int use_reading(void *context, const struct store_reading *reading, bool *done)
{
    struct story *story = context;
    const struct foxtrackr_message *row = &reading->message;
    const struct kind *kind = &kinds[row->time_ms / KIND_MS];
    struct used used = {.letter = kind->letter, .number = (unsigned)(row->time_ms % KIND_MS)};
    int result = store_put_reading(story->fixture->store, reading, done);

    assert_true(used.number % 2 == 1 || padding != NULL);
    assert_int_equal(reading->received_ms, NOW_MS + used.number);
    assert_int_equal(row->has_temperature, kind->is_temperature);
    if (result == STORE_OK && *done) {
        story->rows++;
        note_used(story, used);
        result = strikes(story);
    }
    return result;
}

static inline int sort_some(struct story *story, uint64_t most)
{
    const struct inbox_sink sink = {use, use_reading, story};

    return inbox_sort_some(story->inbox, story->idle, most, story->now_ms, &sink);
}

static inline int put_in(struct story *story, char letter, unsigned number, bool *taken)
{
    const char *topic = kind_of(letter)->topic;
    const struct foxtrackr_message message = message_of(letter, number);
    bool says = (number % 2 == 1 || padding != NULL) && letter != 't' && letter != 'v';
    char *name = story->names[story->next_name++ % NAMES]; /* until it is in the table */
    struct store_packet whole = {.topic = topic,
                                 .topic_length = strlen(topic),
                                 .payload = name,
                                 .received_ms = NOW_MS + number};
    int result;

    whole.payload_length = (size_t)snprintf(name, NAME_SIZE, "%c%u", letter, number);
    result = inbox_put(story->inbox, CLIENT_ID, &whole, says ? &message : NULL, taken);
    if (result == STORE_OK && !*taken) {
        result = use_message(story, &whole, true);
    }
    return result == STORE_OK ? strikes(story) : result;
}

/* *count is how many they were. */
static inline int put_all(struct story *story, const char *names, unsigned *count)
{
    int result = STORE_OK;

    *count = 0;
    for (const char *at = names; at != NULL && *at != '\0' && result == STORE_OK; ++*count) {
        char letter = *at;
        char *end;
        unsigned number = (unsigned)strtoul(at + 1, &end, 10);
        bool taken;

        result = put_in(story, letter, number, &taken);
        at = *end == ' ' ? end + 1 : end;
    }
    return result;
}

/* A batch up to its commit, or to what fails. After a failure the writer takes what came at once
 * and sorts nothing first. *count is how many messages came. */
static inline int fill_batch(struct story *story, const struct batch *batch, bool sort,
                             unsigned *count)
{
    uint64_t most = batch->most != 0 ? batch->most : UINT64_MAX;
    int result = store_begin(story->fixture->store);

    if (result == STORE_OK && sort) {
        result = sort_some(story, most);
    }
    if (result == STORE_OK && batch->lull) {
        inbox_drain(story->inbox);
    }
    if (result == STORE_OK) {
        result = put_all(story, batch->put, count);
    }
    if (result == STORE_OK) {
        result = inbox_finish(story->inbox);
    }
    return result == STORE_OK ? strikes(story) : result;
}

static inline int make_batch(struct story *story, const struct batch *batch, bool sort)
{
    unsigned count = 0;
    int result = fill_batch(story, batch, sort, &count);

    if (result == STORE_OK) {
        result = store_commit(story->fixture->store);
    }
    if (result == STORE_OK) {
        story->on_disk = story->count;
        inbox_committed(story->inbox, count, story->now_ms);
    }
    return result;
}

static inline void roll_back(struct story *story)
{
    inbox_rolled_back(story->inbox);
    story->count = story->on_disk;
    assert_int_equal(store_rollback(story->fixture->store), STORE_OK);
}

/* A batch that nothing goes wrong with. */
static inline void commit_batch(struct story *story, const struct batch *batch)
{
    story->now_ms += batch->ms;
    if (make_batch(story, batch, true) != STORE_OK) {
        fail_msg("%s", store_error(story->fixture->store));
    }
}

static inline void load(struct story *story)
{
    story->inbox = inbox_new(story->fixture->store);
    assert_non_null(story->inbox);
    assert_int_equal(inbox_load(story->inbox), STORE_OK);
}

/* The process is gone, and the next one finds what is on disk. */
static inline void die(struct story *story)
{
    struct fixture *fixture = story->fixture;

    inbox_free(story->inbox);
    store_discard(fixture->store);
    fixture->store = NULL;
    if (fixture_open(fixture) != STORE_OK) {
        fail_msg("%s", fixture->problem);
    }
    assert_int_equal(store_run_begin(fixture->store, "again", NOW_MS), STORE_OK);
    story->count = story->on_disk;
    load(story);
}

/* So many messages of a, b and c are in the table, and the inbox does not know. */
static inline void leave_many(struct story *story, unsigned count)
{
    char sql[512];

    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE number(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM number WHERE n <"
             " %u) INSERT INTO inbox SELECT n, 1 + n %% 3, '%s', 'foxtrackr/' || substr('abc',"
             " 1 + n %% 3, 1) || '/V3.0/bat', CAST(substr('abc', 1 + n %% 3, 1) || n AS BLOB),"
             " %lld + n FROM number",
             count, CLIENT_ID, (long long)NOW_MS);
    look(story->fixture, sql);
}

static inline void open_inbox(struct story *story)
{
    story->fixture->store->commit_pages = INBOX_OPEN_MESSAGES;
    inbox_committed(story->inbox, INBOX_OPEN_MESSAGES, story->now_ms);
}

/* Until the inbox is empty: what is in it may take so many batches. */
static inline void drain(struct story *story, int batches)
{
    const struct batch nothing = {.lull = true};

    inbox_drain(story->inbox);
    while (inbox_is_busy(story->inbox)) {
        assert_true(batches-- > 0);
        commit_batch(story, &nothing);
    }
    assert_int_equal(inbox_waiting(story->inbox), 0);
    assert_look(story->fixture, "SELECT count(*) FROM inbox", "0");
}

/* The messages handed out from `first` on: "a1 b1 (c1)", with those in brackets that went past the
 * inbox. */
static inline const char *used_since(const struct story *story, size_t first)
{
    static char text[1024];
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = first; i < story->count && length < sizeof(text); i++) {
        const struct used *used = &story->used[i];

        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s%c%u%s",
                                   i > first ? " " : "", used->directly ? "(" : "", used->letter,
                                   used->number, used->directly ? ")" : "");
    }
    return text;
}

/* With an empty inbox that is open. */
static inline struct story *story_begin(void)
{
    struct story *story = calloc(1, sizeof(*story));
    void *made = NULL;

    assert_non_null(story);
    assert_int_equal(fixture_make_copy(&made), 0);
    story->fixture = made;
    story->now_ms = 1000000;
    begin(story->fixture);
    for (size_t i = 0; i < KINDS; i++) {
        const struct store_packet whole = packet("{}");

        if (kinds[i].known) {
            assert_int_equal(make_row(story, kinds[i].letter, 0, &whole), STORE_OK);
        }
    }
    commit(story->fixture);
    load(story);
    open_inbox(story);
    return story;
}

static inline void story_end(struct story *story)
{
    void *made = story->fixture;

    inbox_free(story->inbox);
    assert_int_equal(fixture_remove(&made), 0);
    free(story->used);
    free(story);
}

static inline int story_setup(void **state)
{
    *state = story_begin();
    return 0;
}

static inline int story_teardown(void **state)
{
    story_end(*state);
    return 0;
}

#endif
