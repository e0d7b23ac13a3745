/* When the inbox opens, in which order it hands out what it was given, and when it closes. */
#include "inbox_fixture.h"

/* --- opening ------------------------------------------------------------------------------- */

static bool is_open(struct story *story)
{
    bool taken;

    begin(story->fixture);
    assert_int_equal(put_in(story, 'a', 1, &taken), STORE_OK);
    roll_back(story);
    return taken;
}

/* Batches as they are committed: so many messages and pages each, so far apart. */
static const struct {
    const char *what;
    int batches;
    uint64_t messages;
    int pages;
    int64_t ms;
    bool opens;
} rates[] = {
    {"a batch that is enough by itself", 1, INBOX_OPEN_MESSAGES,
     INBOX_OPEN_MESSAGES / INBOX_OPEN_SHARE, 1, true},
    {"a message less", 1, INBOX_OPEN_MESSAGES - 1, INBOX_OPEN_MESSAGES, 1, false},
    {"a page less", 1, INBOX_OPEN_MESSAGES, INBOX_OPEN_MESSAGES / INBOX_OPEN_SHARE - 1, 1, false},
    {"few devices, for long", 100, INBOX_OPEN_MESSAGES / 4, 20, 100, false},
    {"in time", 6, INBOX_OPEN_MESSAGES / 6 + 1, 1000, INBOX_OPEN_WITHIN_MS / 5, true},
    {"not in time", 6, INBOX_OPEN_MESSAGES / 6 + 1, 1000, INBOX_OPEN_WITHIN_MS / 5 + 1, false},
    {"slow, for long", 100, INBOX_OPEN_MESSAGES / 2 - 1, 1000, INBOX_OPEN_WITHIN_MS, false},
    {"messages one by one", 3000, 1, 5, 1, false},
};

static void it_opens_in_a_catch_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct story *story = story_begin();

        die(story); /* so that it is closed */
        for (int batch = 0; batch < rates[i].batches; batch++) {
            assert_false(is_open(story));
            story->now_ms += rates[i].ms;
            story->fixture->store->commit_pages = rates[i].pages;
            inbox_committed(story->inbox, rates[i].messages, story->now_ms);
        }
        if (is_open(story) != rates[i].opens) {
            fail_msg("%s: %s", rates[i].what, rates[i].opens ? "stays closed" : "opens");
        }
        story_end(story);
    }
}

/* The pages that SQLite changes: of 2,048 messages in a batch, each on a page of its own or all on
 * those of three devices. */
static void it_counts_the_pages_of_a_commit(void **state)
{
    static char payload[4000];
    struct story *story = *state;
    const struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_JSON, .detail = "no"};
    const struct store_packet small = packet("{}");

    memset(payload, 'x', sizeof(payload) - 1);
    for (int large = 0; large < 2; large++) {
        die(story);
        begin(story->fixture);
        for (unsigned i = 1; i <= INBOX_OPEN_MESSAGES; i++) {
            struct store_packet whole = packet(payload);

            payload[snprintf(payload, sizeof(payload), "%u", i)] = 'x';
            assert_int_equal(large ? store_quarantine(story->fixture->store, &problem, &whole)
                                   : make_row(story, "abc"[i % 3], i, &small),
                             STORE_OK);
        }
        commit(story->fixture);
        inbox_committed(story->inbox, INBOX_OPEN_MESSAGES, story->now_ms);
        assert_int_equal(is_open(story), large);
    }
}

/* --- conversations --------------------------------------------------------------------------- */

#define OLD   INBOX_LOT_AGE_MS
#define TURNS 8

struct turn {
    enum { COMMITS, ROLLS_BACK, DIES, DIES_AFTERWARDS } ends;
    struct batch batch;
    const char *used; /* of what is on disk */
    const char *left; /* messages that wait, and rows in the inbox */
};

static const struct {
    const char *what;
    struct turn turns[TURNS];
} conversations[] = {
    {"in the order of devices, unknown ones and groups last, then it closes",
     {{COMMITS, {.put = "g1 x1 c1 b1 a1 x2 c2 y1 g2 a2"}, "", "10/10"},
      {COMMITS, {.ms = OLD}, "a1 a2 b1 c1 c2 g1 x1 x2 y1 g2", "0/0"},
      {COMMITS, {.put = "a3"}, "(a3)", "0/0"}}},
    {"a lot begins when it is old, and not before",
     {{COMMITS, {.put = "b1"}, "", "1/1"},
      {COMMITS, {.ms = OLD - 1, .put = "a1"}, "", "2/2"},
      {COMMITS, {.ms = 1}, "a1 b1", "0/0"}}},
    {"newcomers go to the other lot, and one is deleted when the next one begins",
     {{COMMITS, {.put = "c1 b1 a1"}, "", "3/3"},
      {COMMITS, {.ms = OLD, .most = 2, .put = "b2 a2"}, "a1 b1", "3/5"},
      {COMMITS, {.ms = OLD, .most = 2, .put = "a3"}, "c1", "3/6"},
      {COMMITS, {.most = 2, .put = "c2"}, "a2 a3", "2/5"},
      {COMMITS, {.most = 1}, "b2", "1/4"},
      {COMMITS, {.most = 1}, "c2", "0/0"}}},
    {"nothing comes: it is emptied at once, and closes",
     {{COMMITS, {.put = "b1 a1"}, "", "2/2"},
      {COMMITS, {.lull = true}, "", "2/2"},
      {COMMITS, {.put = "a2"}, "a1 b1 (a2)", "0/0"}}},
    {"what comes while it drains follows",
     {{COMMITS, {.put = "b1 a1"}, "", "2/2"},
      {COMMITS, {.lull = true}, "", "2/2"},
      {COMMITS, {.most = 1, .put = "a2"}, "a1", "2/3"},
      {COMMITS, {.most = 1, .put = "b2"}, "b1", "2/4"},
      {COMMITS, {.put = "c1"}, "a2 b2 (c1)", "0/0"}}},
    {"nothing came: it closes",
     {{COMMITS, {.lull = true}, "", "0/0"}, {COMMITS, {.put = "a1"}, "(a1)", "0/0"}}},
    {"the family in any case; a name of 63 bytes is looked up, longer ones come last",
     {{COMMITS, {.put = "m1 f1 m3 l1 b1 A1 a1 A2"}, "", "8/8"},
      {COMMITS, {.ms = OLD}, "A1 a1 A2 b1 l1 m1 f1 m3", "0/0"}}},
    {"a device that becomes known meanwhile stays unknown to the lot that is filled",
     {{COMMITS, {.put = "x1 b1"}, "", "2/2"},
      {COMMITS, {.ms = OLD, .most = 1, .put = "x2"}, "b1", "2/3"},
      {COMMITS, {.most = 1, .put = "x3 a1"}, "x1", "3/5"},
      {COMMITS, {0}, "a1 x2 x3", "0/0"}}},
    {"what is on no topic of ours goes to quarantine as before",
     {{COMMITS, {.put = "b1 t1 a1 v1"}, "(t1) (v1)", "2/2"},
      {COMMITS, {.ms = OLD}, "a1 b1", "0/0"}}},
    {"a batch that is rolled back leaves it as it was",
     {{COMMITS, {.put = "c1 a1"}, "", "2/2"},
      {ROLLS_BACK, {.put = "b1"}, "", "2/2"},
      {COMMITS, {.put = "b1"}, "", "3/3"},
      {ROLLS_BACK, {.ms = OLD, .most = 1, .put = "a2"}, "", "3/3"},
      {COMMITS, {.most = 1, .put = "a2"}, "a1", "3/4"},
      {ROLLS_BACK, {.most = 2}, "", "3/4"},
      {COMMITS, {.most = 2}, "b1 c1", "1/4"},
      {COMMITS, {.most = 1}, "a2", "0/0"}}},
    {"and so does one that empties it",
     {{COMMITS, {.put = "b1 a1"}, "", "2/2"},
      {ROLLS_BACK, {.ms = OLD}, "", "2/2"},
      {COMMITS, {.most = 1}, "a1", "1/2"},
      {ROLLS_BACK, {.put = "a2"}, "", "1/2"},
      {COMMITS, {.put = "a2"}, "b1 (a2)", "0/0"}}},
    {"what a crash leaves comes next",
     {{DIES_AFTERWARDS, {.put = "b1 a1"}, "", "2/2"},
      {DIES_AFTERWARDS, {.most = 1}, "a1", "1/2"},
      {DIES, {0}, "", "1/2"},
      {DIES_AFTERWARDS, {0}, "b1", "0/0"},
      {COMMITS, {.put = "a2"}, "(a2)", "0/0"}}},
    {"in the order of devices, however often",
     {{COMMITS, {.put = "c1 b1 a1"}, "", "3/3"},
      {DIES_AFTERWARDS, {.ms = OLD, .most = 1}, "a1", "2/3"},
      {DIES_AFTERWARDS, {.most = 1}, "b1", "1/3"},
      {COMMITS, {0}, "c1", "0/0"}}},
    {"and newcomers follow it",
     {{DIES_AFTERWARDS, {.put = "b1 a1"}, "", "2/2"},
      {COMMITS, {.most = 1, .put = "b2 a2"}, "a1", "3/4"},
      {COMMITS, {.most = 1, .put = "a3"}, "b1", "3/5"},
      {COMMITS, {.put = "b3"}, "a2 a3 b2 (b3)", "0/0"}}},
    {"of two lots, too",
     {{COMMITS, {.put = "c1 b1 a1 x1"}, "", "4/4"},
      {DIES_AFTERWARDS, {.ms = OLD, .most = 2, .put = "b2 a2"}, "a1 b1", "4/6"},
      {DIES_AFTERWARDS, {.most = 1}, "c1", "3/6"},
      {DIES_AFTERWARDS, {.most = 2}, "x1", "2/6"},
      {DIES_AFTERWARDS, {.most = 1}, "a2", "1/5"},
      {COMMITS, {0}, "b2", "0/0"}}},
};

static void take_turn(struct story *story, const struct turn *turn, const char *what)
{
    size_t first = story->on_disk;
    unsigned count;
    char left[32];

    if (turn->ends == COMMITS || turn->ends == DIES_AFTERWARDS) {
        commit_batch(story, &turn->batch);
    } else {
        story->now_ms += turn->batch.ms;
        assert_int_equal(fill_batch(story, &turn->batch, true, &count), STORE_OK);
    }
    if (turn->ends == ROLLS_BACK) {
        roll_back(story);
    } else if (turn->ends != COMMITS) {
        die(story);
    }
    snprintf(left, sizeof(left), "%d/%d", (int)inbox_waiting(story->inbox),
             atoi(look(story->fixture, "SELECT count(*) FROM inbox")));
    if (strcmp(left, turn->left) != 0 || strcmp(used_since(story, first), turn->used) != 0) {
        fail_msg("%s: handed out '%s' instead of '%s', left %s instead of %s", what,
                 used_since(story, first), turn->used, left, turn->left);
    }
}

static void it_keeps_to_its_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
        struct story *story = story_begin();

        for (int at = 0; at < TURNS && conversations[i].turns[at].left != NULL; at++) {
            take_turn(story, &conversations[i].turns[at], conversations[i].what);
        }
        story_end(story);
    }
}

/* --- what is in the inbox ----------------------------------------------------------------------
 */

struct came {
    const char *client_id;
    struct store_packet packet;
    int times;
};

static int compare_with_what_came(void *context, const char *client_id,
                                  const struct store_packet *packet)
{
    struct came *came = context;

    if (came->client_id == NULL) {
        assert_null(client_id);
    } else {
        assert_string_equal(client_id, came->client_id);
    }
    assert_int_equal(packet->topic_length, came->packet.topic_length);
    assert_memory_equal(packet->topic, came->packet.topic, packet->topic_length);
    assert_int_equal(packet->payload_length, came->packet.payload_length);
    if (packet->payload_length > 0) {
        assert_memory_equal(packet->payload, came->packet.payload, packet->payload_length);
    }
    assert_int_equal(packet->received_ms, came->packet.received_ms);
    came->times++;
    return STORE_OK;
}

static void a_message_leaves_as_it_came(void **state)
{
    static const char bytes[] = "\0\xff'\"\n";
    struct story *story = *state;
    struct came came[] = {
        {.client_id = "id-b-07", .packet = packet("{\"as\":\"it came\"}")},
        {.client_id = "ä", .packet = packet("")},
        {.client_id = NULL, .packet = packet("from nobody")}, /* as store_packet allows */
        {.client_id = "id-c-01", .packet = packet("?")},
        {.client_id = "id-d-01", .packet = packet("!")},
    };

    came[3].packet.payload = bytes;
    came[3].packet.payload_length = sizeof(bytes);
    came[3].packet.topic = "Füchse/\xf0\x9f\xa6\x8a/v3/ ";
    came[3].packet.topic_length = strlen(came[3].packet.topic);
    came[3].packet.received_ms = INT64_MAX;
    came[4].packet.topic = "foxtrackr/a group/V3/0/bat";
    came[4].packet.topic_length = strlen(came[4].packet.topic);
    for (size_t i = 0; i < sizeof(came) / sizeof(came[0]); i++) {
        const struct inbox_sink sink = {compare_with_what_came, NULL, &came[i]};
        bool taken = false;

        begin(story->fixture);
        assert_int_equal(inbox_put(story->inbox, came[i].client_id, &came[i].packet, NULL, &taken),
                         STORE_OK);
        assert_true(taken);
        assert_int_equal(inbox_finish(story->inbox), STORE_OK);
        commit(story->fixture);
        inbox_drain(story->inbox);
        inbox_committed(story->inbox, 1, story->now_ms);
        begin(story->fixture);
        assert_int_equal(inbox_sort_some(story->inbox, false, 10, story->now_ms, &sink), STORE_OK);
        commit(story->fixture);
        inbox_committed(story->inbox, 0, story->now_ms);
        assert_int_equal(came[i].times, 1);
        open_inbox(story);
    }
}

static void it_is_counted_when_it_leaves(void **state)
{
    const char *const rows = "SELECT count(*) FROM battery WHERE time_ms % 10000000 > 0";
    struct story *story = *state;
    struct store_counts before;

    store_counts(story->fixture->store, &before);
    commit_batch(story, &(struct batch){.put = "a1 b1 x1"});
    assert_look(story->fixture, "SELECT count(*) FROM inbox", "3");
    assert_look(story->fixture, rows, "0");
    assert_look(story->fixture, "SELECT count(*) FROM devices WHERE device_id = 'x'", "0");
    assert_counts(story->fixture, before.stored, 0, 0);
    drain(story, 2);
    assert_look(story->fixture, rows, "3");
    assert_counts(story->fixture, before.stored + 3, 0, 0);
}

/* Some of it had not come to the table. */
static void what_is_rolled_back_does_not_come_back(void **state)
{
    struct story *story = *state;
    unsigned count = 0;

    begin(story->fixture);
    assert_int_equal(put_all(story, "a1 a2 a3", &count), STORE_OK);
    roll_back(story);
    commit_batch(story, &(struct batch){.put = "b1"});
    assert_look(story->fixture, "SELECT group_concat(CAST(payload AS TEXT)) FROM inbox", "b1");
}

/* Of messages that were parsed on their way in, of known devices and no group's; and only until the
 * process ends. */
static void rows_are_kept_at_hand(void **state)
{
    struct story *story = *state;

    commit_batch(story, &(struct batch){.put = "b1 a1 x1 g1 a2 b3"});
    drain(story, 2);
    assert_string_equal(used_since(story, 0), "a1 a2 b1 b3 x1 g1");
    assert_int_equal(story->rows, 3);
    open_inbox(story);
    commit_batch(story, &(struct batch){.put = "b5 a3"});
    die(story);
    drain(story, 2);
    assert_string_equal(used_since(story, 0), "a1 a2 b1 b3 x1 g1 a3 b5");
    assert_int_equal(story->rows, 3);
}

/* Of a batch that was rolled back, and of a lot that is done: more than there is, in the end. */
static void the_room_of_rows_is_used_again(void **state)
{
    enum { TIMES = 5, TOGETHER = INBOX_HELD_ROWS / 4096 / 3 };
    static char extra[4000];
    static char put[16 * TOGETHER];
    struct story *story = *state;
    unsigned count;

    memset(extra, 'x', sizeof(extra) - 1);
    extra_of_all = extra;
    for (unsigned i = 0; i < TIMES; i++) {
        size_t length = 0;

        for (unsigned j = 0; j < TOGETHER; j++) {
            length += (size_t)snprintf(put + length, sizeof(put) - length, "%sa%u",
                                       j > 0 ? " " : "", 2 * (i * TOGETHER + j) + 1);
        }
        open_inbox(story);
        for (unsigned again = 0; again < TIMES; again++) {
            begin(story->fixture);
            assert_int_equal(put_all(story, put, &count), STORE_OK);
            roll_back(story);
        }
        commit_batch(story, &(struct batch){.put = put});
        drain(story, 2);
    }
    assert_int_equal(story->rows, TIMES * TOGETHER);
    assert_int_equal(
        atoi(look(story->fixture, "SELECT count(*) FROM battery WHERE length(extra) = 3999")),
        TIMES * TOGETHER);
    extra_of_all = NULL;
}

/* Another value is in the table for this message's device and time. */
static void store_otherwise(struct story *story, char letter, unsigned number)
{
    struct foxtrackr_message other = message_of(letter, number);

    other.voltage_v = 4.2;
    begin(story->fixture);
    assert_int_equal(put(story->fixture, &other), STORE_STORED);
    commit(story->fixture);
}

static void a_row_that_conflicts_is_taken_for_a_message(void **state)
{
    struct story *story = *state;
    struct store_counts before;

    store_otherwise(story, 'a', 1);
    store_counts(story->fixture->store, &before);
    commit_batch(story, &(struct batch){.put = "a1 a3"});
    drain(story, 2);
    assert_string_equal(used_since(story, 0), "a1 a3");
    assert_int_equal(story->rows, 1);
    assert_look(story->fixture, "SELECT CAST(payload AS TEXT) FROM quarantine", "a1");
    assert_counts(story->fixture, before.stored + 1, 0, 1);
}

/* Also where rows in memory and messages that are read from the table alternate. */
static void readings_of_both_tables_keep_their_order(void **state)
{
    struct story *story = *state;

    commit_batch(story, &(struct batch){.put = "a1 T1 a3 T3 a4 T5 a5 b1 T7"});
    drain(story, 2);
    assert_string_equal(used_since(story, 0), "a1 T1 a3 T3 a4 T5 a5 T7 b1");
    assert_int_equal(story->rows, 8);
}

/* Each reading is stored once, and each that conflicts is put into quarantine. */
static void conflicts_among_many(void **state)
{
    enum { MANY = 35 };
    struct story *story = *state;
    struct store_counts before;
    char put_one[16];

    for (unsigned number = 7; number < 2 * MANY; number += 30) {
        store_otherwise(story, 'a', number);
    }
    store_counts(story->fixture->store, &before);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(put_one, sizeof(put_one), "a%u", 2 * i + 1);
        commit_batch(story, &(struct batch){.put = put_one, .most = 1});
    }
    commit_batch(story, &(struct batch){.put = "a1 a3"});
    drain(story, 2);
    assert_int_equal(story->count, MANY + 2);
    assert_int_equal(story->rows, MANY + 2 - 3);
    assert_counts(story->fixture, before.stored + MANY - 3, 2, 3);
    assert_look(story->fixture,
                "SELECT group_concat(CAST(payload AS TEXT)) FROM"
                " (SELECT payload FROM quarantine ORDER BY payload)",
                "a37,a67,a7");
}

/* A number that came again would be done before it came. One that was rolled back comes again. */
static void numbers_go_on(void **state)
{
    struct story *story = *state;
    unsigned count;

    begin(story->fixture);
    assert_int_equal(put_all(story, "b1 a1", &count), STORE_OK);
    roll_back(story);
    assert_false(inbox_is_busy(story->inbox));
    commit_batch(story, &(struct batch){.put = "a1 b1 c1"});
    drain(story, 2);
    for (int dead = 0; dead < 2; dead++) {
        if (dead) {
            die(story);
        }
        open_inbox(story);
        commit_batch(story, &(struct batch){.put = dead ? "a3 b3" : "a2 b2"});
        assert_look(story->fixture, "SELECT group_concat(n) FROM inbox", dead ? "6,7" : "4,5");
        drain(story, 2);
    }
    assert_string_equal(used_since(story, 0), "a1 b1 c1 a2 b2 a3 b3");
}

/* Sorted by the whole number, and messages of one device as they came. */
static void devices_have_large_numbers(void **state)
{
    struct story *story = *state;

    look(story->fixture,
         "WITH message(n, device, letter) AS (VALUES (1, 65536, 'c'), (2, 257, 'b'), (3, 16777216, "
         "'x'),"
         " (4, 256, 'a'), (5, 4294967295, 'g'), (6, 257, 'b'), (7, 65536, 'c'), (8, 256, 'a'))"
         " INSERT INTO inbox SELECT n, device, '" CLIENT_ID "', CASE letter WHEN 'x' THEN"
         " 'foxtrackr/x/V3.0/bat' WHEN 'g' THEN 'foxtrackr/depot/V3.0/bat' ELSE 'foxtrackr/' || "
         "letter"
         " || '/V3.0/bat' END, CAST(letter || n AS BLOB), 1700000000000 + n FROM message");
    die(story);
    drain(story, 3);
    assert_string_equal(used_since(story, 0), "a4 a8 b2 b6 c1 c7 x3 g5");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, story_setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_in_a_catch_up),
        TEST(it_counts_the_pages_of_a_commit),
        cmocka_unit_test(it_keeps_to_its_order),
        TEST(a_message_leaves_as_it_came),
        TEST(it_is_counted_when_it_leaves),
        TEST(what_is_rolled_back_does_not_come_back),
        TEST(rows_are_kept_at_hand),
        TEST(readings_of_both_tables_keep_their_order),
        TEST(conflicts_among_many),
        TEST(the_room_of_rows_is_used_again),
        TEST(a_row_that_conflicts_is_taken_for_a_message),
        TEST(devices_have_large_numbers),
        TEST(numbers_go_on),
    };

    return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
