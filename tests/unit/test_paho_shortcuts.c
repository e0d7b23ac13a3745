/*
 * Paho's lists of messages in flight, used by the functions of mqtt/paho/shortcuts.c as Paho uses
 * them. The linker puts a counter in front of messageIDCompare(), which shows how many messages
 * were looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <stdbool.h>

#include "mqtt/paho/calls_internal.h"

#define MANY     1000
#define LISTS    20 /* more than are counted */
#define IDS      40 /* few, so that they come again */
#define STEPS    200000
#define PLACES   256 /* what a count of one byte can tell apart */
#define OVER_ALL 65536

/* Paho's: LinkedList.h and MQTTProtocolClient.h of Paho 1.3. Weak: NULL where Paho is shared. */
struct list;

struct element {
    struct element *prev;
    struct element *next;
    void *content;
};

struct message {
    int qos;
    int retain;
    int id;
    int number;
};

#define WEAK __attribute__((weak))
struct list *ListInitialize(void) WEAK;
void *ListDetachHead(struct list *list) WEAK;
int messageIDCompare(const void *content, const void *key) WEAK;
int __real_messageIDCompare(const void *content, const void *key) WEAK;
int __wrap_messageIDCompare(const void *content, const void *key);

static unsigned looked_at;

int __wrap_messageIDCompare(const void *content, const void *key)
{
    looked_at++;
    return __real_messageIDCompare(content, key);
}

/* --- publications ----------------------------------------------------------------------------- */

/* Paho's struct Publications, and its list of them. */
struct publication {
    char *topic;
    int topic_length;
    char *payload;
    int payload_length;
    int references;
    uint8_t mask[4];
};

extern struct list publications __asm__("state") WEAK;
void *mymalloc(char *file, int line, size_t size) WEAK;
void myfree(char *file, int line, void *pointer) WEAK;
void *ListNextElement(struct list *list, struct element **position) WEAK;
bool __wrap_paho_check_reads_pubrel_of_5(void);
void __real_MQTTProtocol_removePublication(void *publication) WEAK;
void __wrap_MQTTProtocol_removePublication(void *publication);

static bool is_pubrel_of_5;
static unsigned removed_publications;

bool __wrap_paho_check_reads_pubrel_of_5(void)
{
    return is_pubrel_of_5;
}

void __wrap_MQTTProtocol_removePublication(void *publication)
{
    removed_publications++;
    __real_MQTTProtocol_removePublication(publication);
}

static char file[] = "";

static struct publication *make_publication(struct list *list)
{
    struct publication *made = mymalloc(file, 0, sizeof(*made));

    made->topic = mymalloc(file, 0, 8);
    made->payload = mymalloc(file, 0, 100);
    made->references = 1;
    assert_non_null(paho_shortcuts_append(list, made, sizeof(*made)));
    removed_publications = 0;
    return made;
}

static bool is_empty(struct list *list)
{
    struct element *position = NULL;

    return ListNextElement(list, &position) == NULL;
}

/* AddressSanitizer reports a leak where this does not free a message. */
static void a_publication_of_5_goes_with_its_content(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct publication *made = make_publication(&publications);

        is_pubrel_of_5 = true;
        assert_true(paho_shortcuts_remove(&publications, made));
        is_pubrel_of_5 = false;
        assert_int_equal(removed_publications, 1);
        assert_true(is_empty(&publications));
    }
}

static void the_content_of_other_publications_is_left_alone(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct list *list = i == 0 ? *state : &publications;
        struct publication *made = make_publication(list);
        char *topic = made->topic;
        char *payload = made->payload;

        if (i == 1) {
            made->topic = NULL; /* MQTTProtocol_removePublication() has freed it */
        }
        is_pubrel_of_5 = i < 2;
        assert_true(paho_shortcuts_remove(list, made));
        is_pubrel_of_5 = false;
        assert_int_equal(removed_publications, 0);
        assert_true(is_empty(list));
        memset(topic, 'x', 8);
        memset(payload, 'x', 100);
        myfree(file, 0, topic);
        myfree(file, 0, payload);
    }
}

static struct message *make_message(int id)
{
    static int number;
    struct message *message = calloc(1, sizeof(*message));

    assert_non_null(message);
    message->id = id;
    message->number = ++number;
    return message;
}

/* The message with this id, or NULL; looked_at tells of this search. */
static struct message *find(struct list *list, int id)
{
    struct element *found;

    looked_at = 0;
    found = paho_shortcuts_find(list, &id, messageIDCompare);
    return found != NULL ? found->content : NULL;
}

/* As Paho does with a PUBLISH: look first. */
static struct message *arrive(struct list *list, int id)
{
    struct message *message = make_message(id);
    struct message *old = find(list, id);

    if (old == NULL) {
        assert_non_null(paho_shortcuts_append(list, message, sizeof(*message)));
    } else {
        assert_non_null(paho_shortcuts_insert(list, message, sizeof(*message),
                                              paho_shortcuts_find(list, &id, messageIDCompare)));
        assert_true(paho_shortcuts_remove(list, old));
    }
    return message;
}

static int set_up(void **state)
{
    *state = ListInitialize();
    return *state == NULL;
}

static int tear_down(void **state)
{
    paho_shortcuts_free(*state);
    return 0;
}

/* --- what it is for -------------------------------------------------------------------------- */

static void a_new_id_is_not_searched_for(void **state)
{
    for (int id = 1; id <= MANY; id++) {
        assert_null(find(*state, id));
        assert_int_equal(looked_at, 0);
        arrive(*state, id);
    }
    /* All ids of MQTT 3.1.1 §2.3.1, round and round: those that have gone are new again. */
    for (int i = MANY; i < 3 * OVER_ALL; i++) {
        struct message *oldest = find(*state, (i - MANY) % (OVER_ALL - 1) + 1);

        assert_non_null(oldest);
        assert_true(paho_shortcuts_remove(*state, oldest));
        assert_null(find(*state, i % (OVER_ALL - 1) + 1));
        assert_int_equal(looked_at, 0);
        arrive(*state, i % (OVER_ALL - 1) + 1);
    }
}

static void after_all_are_sent_again_too(void **state)
{
    for (int round = 0; round < 2; round++) {
        for (int id = 1; id <= MANY; id++) {
            struct message *message = arrive(*state, id);

            assert_ptr_equal(find(*state, id), message);
        }
    }
    assert_null(find(*state, MANY + 1));
    assert_int_equal(looked_at, 0);
}

static void an_emptied_list_begins_anew(void **state)
{
    for (int i = 0; i < 2; i++) {
        for (int id = 1; id <= MANY; id++) {
            arrive(*state, id);
        }
        if (i == 0) {
            paho_shortcuts_empty(*state);
        } else {
            paho_shortcuts_free(*state);
            *state = ListInitialize();
            assert_non_null(*state);
        }
        arrive(*state, MANY + 1);
        assert_null(find(*state, 1));
        assert_int_equal(looked_at, 0);
        paho_shortcuts_empty(*state);
    }
}

/* --- what must stay as it is -------------------------------------------------------------------
 */

struct model {
    struct list *list;
    struct message *in[IDS];
    struct message *order[IDS]; /* as in the list: only the head is ever detached */
    int count;
};

static void model_remove(struct model *model, const struct message *message)
{
    int place = 0;

    while (model->order[place] != message) {
        place++;
    }
    memmove(&model->order[place], &model->order[place + 1],
            sizeof(model->order[0]) * (size_t)(model->count - place - 1));
    model->count--;
    model->in[message->id] = NULL;
}

static void model_add(struct model *model, struct message *message)
{
    if (model->in[message->id] != NULL) { /* takes the place of the old one */
        for (int i = 0; i < model->count; i++) {
            if (model->order[i] == model->in[message->id]) {
                model->order[i] = message;
            }
        }
    } else {
        model->order[model->count++] = message;
    }
    model->in[message->id] = message;
}

static void model_clear(struct model *model)
{
    memset(model->in, 0, sizeof(model->in));
    model->count = 0;
}

static void model_step(struct model *model, unsigned chance)
{
    int id = (int)(chance / 64 % IDS);
    struct message *message = model->in[id];

    switch (chance % 64) {
    case 0:
        paho_shortcuts_empty(model->list);
        model_clear(model);
        break;
    case 1:
        paho_shortcuts_free(model->list);
        model_clear(model);
        model->list = ListInitialize();
        assert_non_null(model->list);
        break;
    case 2:
    case 3:
        if (model->count > 0) { /* unseen by the counts */
            message = ListDetachHead(model->list);
            assert_ptr_equal(message, model->order[0]);
            model_remove(model, message);
            free(message);
        }
        break;
    default:
        if (message != NULL && chance % 2 == 0) {
            model_remove(model, message);
            assert_true(paho_shortcuts_remove(model->list, message));
        } else {
            model_add(model, arrive(model->list, id));
        }
    }
}

static void every_search_finds_what_is_there(void **state)
{
    static struct model models[LISTS];
    uint64_t random = 20261126;

    (void)state;
    for (int i = 0; i < LISTS; i++) {
        models[i].list = ListInitialize();
        assert_non_null(models[i].list);
    }
    for (int step = 0; step < STEPS; step++) {
        struct model *model;
        int id;

        random = random * 6364136223846793005U + 1442695040888963407U;
        model = &models[(random >> 58) % LISTS];
        model_step(model, (unsigned)(random >> 24) & 0xffffff);
        id = (int)((random >> 50) % IDS);
        assert_ptr_equal(find(model->list, id), model->in[id]);
    }
    for (int i = 0; i < LISTS; i++) {
        paho_shortcuts_free(models[i].list);
    }
}

static void a_list_that_had_messages_is_searched(void **state)
{
    struct message *message = make_message(7);

    assert_non_null(paho_shortcuts_append(*state, message, sizeof(*message)));
    assert_ptr_equal(find(*state, 7), message);
    message = arrive(*state, 8);
    assert_ptr_equal(find(*state, 8), message);
    assert_null(find(*state, 9));
    assert_true(looked_at >= 2);
}

/* Elements of other lists may be shorter than a message. */
static void other_lists_are_left_alone(void **state)
{
    void (*const ends[])(void *) = {paho_shortcuts_free_no_content, paho_shortcuts_free};

    for (int i = 0; i < 2; i++) {
        char *content = malloc(1);

        assert_non_null(content);
        assert_null(find(*state, 1)); /* counted now */
        ends[i](*state);
        *state = ListInitialize(); /* where the other one was, as a rule */
        assert_non_null(*state);
        looked_at = 0;
        assert_non_null(paho_shortcuts_append(*state, content, 1));
        assert_true(paho_shortcuts_remove(*state, content));
        assert_int_equal(looked_at, 0);
    }
}

static void other_searches_are_left_alone(void **state)
{
    struct message *message = arrive(*state, 5);

    looked_at = 0;
    assert_non_null(paho_shortcuts_find(*state, message, NULL));
    assert_int_equal(looked_at, 0);
}

static void what_was_not_there_does_not_go(void **state)
{
    struct message *message = arrive(*state, 5);
    struct message *other = make_message(5);

    assert_false(paho_shortcuts_remove(*state, other));
    assert_ptr_equal(find(*state, 5), message);
    free(other);
}

static void more_of_one_id_than_can_be_counted(void **state)
{
    for (int i = 0; i < PLACES + 1; i++) {
        struct message *message = make_message(3);

        find(*state, 3);
        assert_non_null(paho_shortcuts_append(*state, message, sizeof(*message)));
    }
    for (int i = 0; i < PLACES + 1; i++) {
        struct message *message = find(*state, 3);

        assert_non_null(message);
        assert_true(paho_shortcuts_remove(*state, message));
    }
    assert_null(find(*state, 3));
}

static void no_packet_id(void **state)
{
    const int ids[] = {-1, OVER_ALL, INT32_MAX, INT32_MIN};

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct message *message;

        assert_null(find(*state, ids[i]));
        message = arrive(*state, ids[i]);
        assert_ptr_equal(find(*state, ids[i]), message);
        assert_true(paho_shortcuts_remove(*state, message));
    }
}

/* --- the errors --------------------------------------------------------------------------------
 */

static void errors_are_cleared(void **state)
{
    (void)state;
    paho_shortcuts_clear_error();
    for (int i = 0; i < 3; i++) {
        ERR_raise(ERR_LIB_USER, ERR_R_PASSED_NULL_PARAMETER);
    }
    paho_shortcuts_clear_error();
    assert_int_equal(ERR_peek_error(), 0);
    paho_shortcuts_clear_error();
    ERR_raise(ERR_LIB_USER, ERR_R_PASSED_NULL_PARAMETER);
    assert_int_not_equal(ERR_get_error(), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_id_is_not_searched_for),
        TEST(after_all_are_sent_again_too),
        TEST(an_emptied_list_begins_anew),
        TEST(every_search_finds_what_is_there),
        TEST(a_list_that_had_messages_is_searched),
        TEST(other_lists_are_left_alone),
        TEST(other_searches_are_left_alone),
        TEST(what_was_not_there_does_not_go),
        TEST(more_of_one_id_than_can_be_counted),
        TEST(no_packet_id),
        TEST(a_publication_of_5_goes_with_its_content),
        TEST(the_content_of_other_publications_is_left_alone),
        cmocka_unit_test(errors_are_cleared),
    };

    if (ListInitialize == NULL) {
        printf("skipped: this Paho is the shared library, which is left as it is\n");
        return 0;
    }
    return cmocka_run_group_tests_name("paho_shortcuts", tests, NULL, NULL);
}
