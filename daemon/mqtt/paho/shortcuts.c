/*
 * Two walks that Paho makes for every packet, and that it can be spared; and a leak.
 *
 * The first: for every PUBLISH Paho goes through the connection's messages in flight, to see
 * whether one has the same packet identifier: a list, and a call of messageIDCompare() for each
 * message. Only a message that the broker sends again after a reconnection is found, so nearly
 * every walk goes to the end. In a catch-up with a window of 1,000 that is a third of all of Paho's
 * work.
 *
 * Here the identifiers in such a list are counted as messages come and go. An identifier whose
 * count is zero is not in the list; for every other one Paho walks as before. No message may enter
 * a list without being counted: a list is counted from a moment on at which it is empty, and every
 * function that adds to a list is redirected. A message that leaves without being counted costs
 * only time.
 *
 * The second: before every read Paho calls ERR_clear_error(), four or five times a message. That
 * visits each of the sixteen places that a thread has for errors, and frees their content, also
 * when there is no error. Here it is called only when there is one.
 *
 * The leak: in MQTT 5 Paho delivers a QoS 2 message when its PUBLISH comes. If the broker sends the
 * message again before PUBREL, on the same connection, Paho copies topic and payload for a second
 * delivery that does not come, and at PUBREL frees only the struct Publications that points to
 * them. Here that struct is given to MQTTProtocol_removePublication(), which frees all three, when
 * it is removed from Paho's list of publications while a PUBREL of MQTT 5 is handled. (In
 * MQTT 3.1.1 topic and payload belong to the callback by then.)
 *
 * Must never happen: memory of a message is freed that is still in use; or a message that is in a
 * list is not found, because Paho would then deliver it twice or lose its handshake.
 *
 * Relies on: ListAppend(), ListAppendNoMalloc() and ListInsert() are the only functions of Paho
 * that add to a list; the third int of its struct Messages is the packet identifier; the list of
 * publications is the first member of its `state`, and the topic the first one of its struct
 * Publications, NULL once it is freed. Debian does not ship the headers of these lists. Proved on
 * Paho 1.3.12-1 (Debian 12) and 1.3.14-2 (Debian 13). Checked: mqtt/paho/adapt finds these
 * functions and their calls when the program is built, and mqtt/paho/probe.c sees that messages
 * which come twice take no memory for ever; the place of the packet identifier is compared with
 * what messageIDCompare() says for every message, and a list in which they differ is not counted;
 * tests/unit/test_paho_shortcuts.c compares every search with a model.
 *
 * Threads: Paho holds a lock when it uses a list, so the counts of a list have the same lock. The
 * table of counted lists is read for every list, under whichever lock, and is atomic.
 */
#include <openssl/err.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "mqtt/paho/calls_internal.h"
#include "mqtt/paho/check_internal.h"

#define LISTS 16 /* counted at once; a session has one. Others are searched as ever */
#define IDS   65536

/* The beginning of Paho's struct Messages. */
struct message {
    int qos;
    int retain;
    int id;
};

/* The beginning of Paho's struct Publications. */
struct publication {
    const char *topic;
};

struct counted {
    _Atomic(const void *) list; /* NULL: free */
    unsigned char messages[IDS];
};

static struct counted counted[LISTS];

/* Paho's own, with void for its types. */
int messageIDCompare(const void *content, const void *key);
void *ListNextElement(void *list, void **position);
void *ListFindItem(void *list, const void *key, paho_compare_fn *compare);
void *ListAppend(void *list, void *content, size_t size);
void ListAppendNoMalloc(void *list, void *content, void *element, size_t size);
void *ListInsert(void *list, void *content, size_t size, void *index);
int ListRemove(void *list, void *content);
void ListEmpty(void *list);
void ListFree(void *list);
void ListFreeNoContent(void *list);
void MQTTProtocol_removePublication(void *publication);
extern const char publications[] __asm__("state"); /* begins with the list of publications */

/* --- the lists ------------------------------------------------------------------------------- */

static struct counted *find_counted(const void *list)
{
    for (int i = 0; i < LISTS; i++) {
        if (atomic_load_explicit(&counted[i].list, memory_order_relaxed) == list) {
            return &counted[i];
        }
    }
    return NULL;
}

/* NULL where it has messages already, or there is no room. */
static struct counted *begin_to_count(void *list)
{
    const void *nothing = NULL;
    void *position = NULL;

    if (ListNextElement(list, &position) != NULL) {
        return NULL;
    }
    for (int i = 0; i < LISTS; i++, nothing = NULL) {
        if (atomic_compare_exchange_strong(&counted[i].list, &nothing, list)) {
            memset(counted[i].messages, 0, sizeof(counted[i].messages));
            return &counted[i];
        }
    }
    return NULL;
}

static void end_to_count(const void *list)
{
    struct counted *known = find_counted(list);

    if (known != NULL) {
        atomic_store(&known->list, NULL);
    }
}

/* Returns the count of the messages with the packet identifier of `content`; NULL: not known. */
static unsigned char *count_of(struct counted *known, const void *content)
{
    int id = ((const struct message *)content)->id;

    return id >= 0 && id < IDS && messageIDCompare(content, &id) ? &known->messages[id] : NULL;
}

/* Counts a message that is about to be added to a list. */
static void count(void *list, const void *content)
{
    struct counted *known = find_counted(list);
    unsigned char *messages;

    if (known == NULL) {
        return;
    }
    messages = count_of(known, content);
    if (messages == NULL || *messages == (unsigned char)-1) {
        end_to_count(list);
    } else {
        (*messages)++;
    }
}

void *paho_shortcuts_find(void *list, const void *key, paho_compare_fn *compare)
{
    struct counted *known;
    int id;

    if (compare == messageIDCompare) {
        id = *(const int *)key;
        known = find_counted(list);
        if (known == NULL) {
            known = begin_to_count(list);
        }
        if (known != NULL && id >= 0 && id < IDS && known->messages[id] == 0) {
            return NULL;
        }
    }
    return ListFindItem(list, key, compare);
}

void *paho_shortcuts_append(void *list, void *content, size_t size)
{
    count(list, content);
    return ListAppend(list, content, size);
}

void paho_shortcuts_append_element(void *list, void *content, void *element, size_t size)
{
    count(list, content);
    ListAppendNoMalloc(list, content, element, size);
}

void *paho_shortcuts_insert(void *list, void *content, size_t size, void *index)
{
    count(list, content);
    return ListInsert(list, content, size, index);
}

static int remove_content(void *list, void *content)
{
    struct counted *known = find_counted(list);
    unsigned char *messages = known != NULL ? count_of(known, content) : NULL;
    int removed = ListRemove(list, content);

    if (removed && messages != NULL && *messages > 0) {
        (*messages)--;
    }
    return removed;
}

/* Frees the content. */
int paho_shortcuts_remove(void *list, void *content)
{
    if (list == (const void *)publications &&
        ((const struct publication *)content)->topic != NULL && paho_check_reads_pubrel_of_5()) {
        MQTTProtocol_removePublication(content); /* calls this function when the topic is freed */
        return 1;
    }
    return remove_content(list, content);
}

void paho_shortcuts_empty(void *list)
{
    end_to_count(list);
    ListEmpty(list);
}

void paho_shortcuts_free(void *list)
{
    end_to_count(list);
    ListFree(list);
}

void paho_shortcuts_free_no_content(void *list)
{
    end_to_count(list);
    ListFreeNoContent(list);
}

/* --- the errors ------------------------------------------------------------------------------- */

void paho_shortcuts_clear_error(void)
{
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}
