/*
 * Two walks that Paho takes for every packet, and need not.
 *
 * 1. For every PUBLISH it goes through the messages in flight of the connection, to see whether one
 * has the same packet id: a list, and a call of messageIDCompare() for each. It is hardly ever
 * there (only when it is sent again after a reconnection), so the walk goes to the end. In a
 * catch-up with a window of 1,000 that is a third of everything Paho does.
 *
 * Here the ids of each such list are counted, as messages come and go. An id that counts nothing is
 * not in the list; for every other one Paho looks as before. So what matters is that no message
 * comes into a list unseen: ListAppend(), ListAppendNoMalloc() and ListInsert() are the only ways
 * in, and a list is counted from a moment on at which it is empty. A message that leaves unseen
 * costs nothing but time.
 *
 * 2. Before every read it calls ERR_clear_error(), four or five times a message. That visits each
 * of the sixteen places that a thread has for errors, and frees what they hold, also where there is
 * none.
 *
 * As with mqtt/paho/cork.c the linker puts these functions in front of those that Paho calls
 * (--wrap), and only where Paho is linked statically. Paho's headers of these lists are not
 * installed, and nothing here depends on how they look but the place of the packet id in a message.
 * It is compared with what messageIDCompare() says, each time; where the two do not agree the list
 * is not counted.
 *
 * Threads: Paho holds a lock when it uses a list, so the counts of a list have the same lock. Which
 * lists are counted is looked at for every list, under whichever lock, and is atomic.
 */
#include <openssl/err.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define LISTS 16 /* counted at once; a session has one. Others are searched as ever */
#define IDS   65536

typedef int compare_fn(const void *content, const void *key);

/* The beginning of Paho's struct Messages. */
struct message {
    int qos;
    int retain;
    int id;
};

struct counted {
    _Atomic(const void *) list; /* NULL: free */
    unsigned char messages[IDS];
};

static struct counted counted[LISTS];

/* Paho's own. */
int messageIDCompare(const void *content, const void *key);
void *ListNextElement(void *list, void **position);

/* What Paho calls, and what it would have called: the names are the linker's. */
void *find_item(void *list, const void *key, compare_fn *compare) __asm__("__wrap_ListFindItem");
void *append(void *list, void *content, size_t size) __asm__("__wrap_ListAppend");
void append_element(void *list, void *content, void *element,
                    size_t size) __asm__("__wrap_ListAppendNoMalloc");
void *insert(void *list, void *content, size_t size, void *index) __asm__("__wrap_ListInsert");
int remove_item(void *list, void *content) __asm__("__wrap_ListRemove");
void empty_list(void *list) __asm__("__wrap_ListEmpty");
void free_list(void *list) __asm__("__wrap_ListFree");
void free_no_content(void *list) __asm__("__wrap_ListFreeNoContent");
void clear_error(void) __asm__("__wrap_ERR_clear_error");
void *real_find(void *list, const void *key, compare_fn *compare) __asm__("__real_ListFindItem");
void *real_append(void *list, void *content, size_t size) __asm__("__real_ListAppend");
void real_append_element(void *list, void *content, void *element,
                         size_t size) __asm__("__real_ListAppendNoMalloc");
void *real_insert(void *list, void *content, size_t size, void *index) __asm__("__real_ListInsert");
int real_remove(void *list, void *content) __asm__("__real_ListRemove");
void real_empty(void *list) __asm__("__real_ListEmpty");
void real_free(void *list) __asm__("__real_ListFree");
void real_free_no_content(void *list) __asm__("__real_ListFreeNoContent");
void real_clear_error(void) __asm__("__real_ERR_clear_error");

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

/* Where the number of these messages is kept; NULL where that is not known. */
static unsigned char *count_of(struct counted *known, const void *content)
{
    int id = ((const struct message *)content)->id;

    return id >= 0 && id < IDS && messageIDCompare(content, &id) ? &known->messages[id] : NULL;
}

/* Before it is in the list. */
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

void *find_item(void *list, const void *key, compare_fn *compare)
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
    return real_find(list, key, compare);
}

void *append(void *list, void *content, size_t size)
{
    count(list, content);
    return real_append(list, content, size);
}

void append_element(void *list, void *content, void *element, size_t size)
{
    count(list, content);
    real_append_element(list, content, element, size);
}

void *insert(void *list, void *content, size_t size, void *index)
{
    count(list, content);
    return real_insert(list, content, size, index);
}

/* Frees the content. */
int remove_item(void *list, void *content)
{
    struct counted *known = find_counted(list);
    unsigned char *messages = known != NULL ? count_of(known, content) : NULL;
    int removed = real_remove(list, content);

    if (removed && messages != NULL && *messages > 0) {
        (*messages)--;
    }
    return removed;
}

void empty_list(void *list)
{
    end_to_count(list);
    real_empty(list);
}

void free_list(void *list)
{
    end_to_count(list);
    real_free(list);
}

void free_no_content(void *list)
{
    end_to_count(list);
    real_free_no_content(list);
}

/* --- the errors ------------------------------------------------------------------------------- */

void clear_error(void)
{
    if (ERR_peek_error() != 0) {
        real_clear_error();
    }
}
