/*
 * Lists of the report's page that grow, and texts that are kept once.
 *
 * Names of groups come from topics, so whoever may publish decides how many there are and what they
 * look like. They are found in a balanced tree: its time is logarithmic for any names, while a hash
 * table can be filled with names of one hash.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/page_data_internal.h"

struct page_text_node {
    const char *text; /* the list's */
    size_t index;
};

void *page_list_add(struct page_data *data, struct page_list *list, size_t item_size)
{
    if (list->count == list->size) {
        size_t room = list->size == 0 ? 16 : 2 * list->size;
        void *items = reallocarray(list->items, room, item_size);

        if (items == NULL) {
            data->out_of_memory = true;
            return NULL;
        }
        list->items = items;
        list->size = room;
    }
    memset((char *)list->items + list->count * item_size, 0, item_size);
    return (char *)list->items + list->count++ * item_size;
}

static int by_text(const void *one, const void *other)
{
    const struct page_text_node *left = one;
    const struct page_text_node *right = other;

    return strcmp(left->text, right->text);
}

/* Adds a copy of the text to the list. Returns its node, not yet in the tree, or NULL. */
static struct page_text_node *new_text(struct page_data *data, struct page_texts *texts,
                                       const char *text)
{
    struct page_text_node *node = malloc(sizeof(*node));
    char *copy = strdup(text);
    char **added =
        node != NULL && copy != NULL ? page_list_add(data, &texts->list, sizeof(*added)) : NULL;

    if (added == NULL) {
        free(copy);
        free(node);
        return NULL;
    }
    *added = copy;
    *node = (struct page_text_node){.text = copy, .index = texts->list.count - 1};
    return node;
}

size_t page_text_index(struct page_data *data, struct page_texts *texts, const char *text)
{
    const struct page_text_node wanted = {.text = text};
    struct page_text_node *const *found = tfind(&wanted, &texts->tree, by_text);
    struct page_text_node *node;

    if (found != NULL) {
        return (*found)->index;
    }
    node = new_text(data, texts, text);
    if (node == NULL || tsearch(node, &texts->tree, by_text) == NULL) {
        free(node); /* its text is in the list, which frees it */
        data->out_of_memory = true;
        return SIZE_MAX;
    }
    return node->index;
}

void page_texts_free(struct page_texts *texts)
{
    char **items = texts->list.items;

    tdestroy(texts->tree, free);
    for (size_t i = 0; i < texts->list.count; i++) {
        free(items[i]);
    }
    free(items);
}
