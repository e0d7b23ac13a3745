/* Topic filters: a list that may go on over several lines. */
#include "config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS ", \t"

/* MQTT 3.1.1 §4.7.1: # is the whole last level, + is a whole level. Returns what is wrong. */
static const char *filter_fault(const char *filter)
{
    for (const char *at = filter; *at != '\0'; at++) {
        bool begins_level = at == filter || at[-1] == '/';

        if (*at == '#' && (!begins_level || at[1] != '\0')) {
            return "# may only be the whole last level";
        }
        if (*at == '+' && (!begins_level || (at[1] != '\0' && at[1] != '/'))) {
            return "+ may only be a whole level";
        }
    }
    return NULL;
}

/* Add a filter, and then look at it: on failure it is freed with the others. */
static int add(struct config_session *session, const char *text, size_t length, char *reason)
{
    size_t size = (session->filter_count + 1) * sizeof(*session->filters);
    char **longer = realloc(session->filters, size);
    const char *filter;
    const char *fault;

    if (longer == NULL) {
        snprintf(reason, CONFIG_REASON_SIZE, "out of memory");
        return 1;
    }
    session->filters = longer;
    if (config_value_copy(text, length, &longer[session->filter_count], reason) != 0) {
        return 1;
    }
    filter = longer[session->filter_count++];
    fault = filter_fault(filter);
    if (fault != NULL) {
        snprintf(reason, CONFIG_REASON_SIZE, "\"%.200s\" is not a topic filter: %s", filter, fault);
        return 1;
    }
    for (size_t i = 0; i + 1 < session->filter_count; i++) {
        if (strcmp(longer[i], filter) == 0) {
            snprintf(reason, CONFIG_REASON_SIZE, "\"%.200s\" is listed twice", filter);
            return 1;
        }
    }
    return 0;
}

static int filters_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    (void)key;
    for (text += strspn(text, SEPARATORS); *text != '\0'; text += strspn(text, SEPARATORS)) {
        size_t length = strcspn(text, SEPARATORS);

        if (*text == ';') { /* a comment: some releases of inih leave it in a continued line */
            return 0;
        }
        if (add(field, text, length, reason) != 0) {
            return 1;
        }
        text += length;
    }
    return 0;
}

static bool filters_same(const void *one, const void *other)
{
    const struct config_session *a = one;
    const struct config_session *b = other;

    if (a->filter_count != b->filter_count) {
        return false;
    }
    for (size_t i = 0; i < a->filter_count; i++) {
        if (strcmp(a->filters[i], b->filters[i]) != 0) {
            return false;
        }
    }
    return true;
}

static void filters_clear(void *field)
{
    struct config_session *session = field;

    for (size_t i = 0; i < session->filter_count; i++) {
        free(session->filters[i]);
    }
    free(session->filters);
    session->filters = NULL;
    session->filter_count = 0;
}

const struct config_type config_filters_type = {.parse = filters_parse,
                                                .same = filters_same,
                                                .clear = filters_clear,
                                                .may_be_empty = true,
                                                .continues = true};
