/*
 * Topic filters: a list that may span several lines.
 *
 * Filters are separated by commas and by the ends of lines, and by nothing else: a topic may hold a
 * blank. Each filter is one that MQTT allows (MQTT 3.1.1 §4.7, and MQTT 5 §4.8.2 for shared
 * subscriptions). With a wrong filter the broker subscribes the client to other topics without an
 * error, so a list whose filters are separated by blanks must never pass as one filter.
 */
#include "config/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILTER_MAX   65535 /* bytes, MQTT 3.1.1 §1.5.3 */
#define SHARE        "$share/"
#define TOPIC_LEVELS 4 /* family/device/version/type */

/* Checks that # is the whole last level and each + a whole level. Returns the fault, or NULL. */
static const char *levels_fault(const char *filter)
{
    for (const char *at = filter; *at != '\0'; at++) {
        bool begins_level = at == filter || at[-1] == '/';

        if (*at == '#' && (!begins_level || at[1] != '\0')) {
            return "# may only be the whole last level (and comments stand on lines of their own)";
        }
        if (*at == '+' && (!begins_level || (at[1] != '\0' && at[1] != '/'))) {
            return "+ may only be a whole level";
        }
    }
    return NULL;
}

/* Returns FILTER of $share/NAME/FILTER, or the filter itself; NULL: NAME or FILTER is missing. */
static const char *unshared(const char *filter)
{
    const char *rest;
    size_t name_length;

    if (strncmp(filter, SHARE, strlen(SHARE)) != 0) {
        return filter;
    }
    rest = filter + strlen(SHARE);
    name_length = strcspn(rest, "/+#");
    if (name_length == 0 || rest[name_length] != '/' || rest[name_length + 1] == '\0') {
        return NULL;
    }
    return rest + name_length + 1;
}

static const char *filter_fault(const char *filter)
{
    if (strlen(filter) > FILTER_MAX) {
        return "it is longer than 65535 bytes";
    }
    filter = unshared(filter);
    return filter != NULL ? levels_fault(filter)
                          : "a shared subscription is written $share/NAME/FILTER";
}

/* Returns true when a filter matches topics of trackers, which have four levels. */
static bool matches_trackers(const char *filter)
{
    size_t levels = 1;

    filter = unshared(filter);
    if (filter == NULL || levels_fault(filter) != NULL) {
        return false;
    }
    for (const char *at = filter; *at != '\0'; at++) {
        levels += *at == '/';
    }
    return levels == TOPIC_LEVELS ||
           (filter[strlen(filter) - 1] == '#' && levels <= TOPIC_LEVELS + 1);
}

/* Returns true when a filter with blanks is probably a list: each word is a valid filter, and the
 * whole matches no tracker's topics, or each word alone does. */
static bool is_old_list(const char *filter)
{
    bool words_match = true;
    char word[CONFIG_LINE_SIZE];

    if (strchr(filter, ' ') == NULL) {
        return false;
    }
    for (const char *at = filter; *at != '\0'; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");

        snprintf(word, sizeof(word), "%.*s", (int)length, at);
        if (filter_fault(word) != NULL) {
            return false;
        }
        words_match = words_match && matches_trackers(word);
        at += length;
    }
    return words_match || !matches_trackers(filter);
}

/* Writes the reason, with the list's first two words as an example of the right form. */
static void explain_list(const char *filter, char *reason)
{
    size_t first = strcspn(filter, " ");
    const char *second = filter + first + strspn(filter + first, " ");
    int first_shown = first < 40 ? (int)first : 40;
    int second_shown = strcspn(second, " ") < 40 ? (int)strcspn(second, " ") : 40;

    snprintf(reason, CONFIG_REASON_SIZE,
             "\"%.*s %.*s\" reads like several filters with a blank between them: separate filters "
             "with a comma (%.*s, %.*s), or write each on an indented line of its own",
             first_shown, filter, second_shown, second, first_shown, filter, second_shown, second);
}

/* Returns 0, or 1 with the reason. */
static int check(const char *filter, char *reason)
{
    const char *fault = filter_fault(filter);

    if (is_old_list(filter)) {
        explain_list(filter, reason);
        return 1;
    }
    if (fault != NULL) {
        snprintf(reason, CONFIG_REASON_SIZE, "\"%.200s\" is not a topic filter: %s", filter, fault);
        return 1;
    }
    return 0;
}

/* Adds a filter before checking it: after a failure it is freed with the others. */
static int add(struct config_session *session, const char *text, char *reason)
{
    size_t size = (session->filter_count + 1) * sizeof(*session->filters);
    char **longer = realloc(session->filters, size);
    const char *filter;

    if (longer == NULL) {
        snprintf(reason, CONFIG_REASON_SIZE, "out of memory");
        return 1;
    }
    session->filters = longer;
    if (config_value_copy(text, strlen(text), &longer[session->filter_count], reason) != 0) {
        return 1;
    }
    filter = longer[session->filter_count++];
    if (check(filter, reason) != 0) {
        return 1;
    }
    for (size_t i = 0; i + 1 < session->filter_count; i++) {
        if (strcmp(longer[i], filter) == 0) {
            snprintf(reason, CONFIG_REASON_SIZE, "\"%.200s\" is listed twice: remove one of them",
                     filter);
            return 1;
        }
    }
    return 0;
}

/* Copies one item to `out`, "\," as ",". Returns the start of the next one. */
static const char *next_item(const char *text, char *out)
{
    while (*text != '\0' && *text != ',') {
        size_t run = strspn(text, "\\");

        if (run > 0 && text[run] == ',') {
            memcpy(out, text + 1, run);
            out += run;
            text += run + 1;
        } else {
            *out++ = *text++;
        }
    }
    *out = '\0';
    return *text == ',' ? text + 1 : text;
}

static int filters_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    char item[CONFIG_LINE_SIZE];
    char filter[CONFIG_LINE_SIZE];

    (void)key;
    while (*text != '\0') {
        const char *start;
        size_t length;

        text = next_item(text, item);
        length = strlen(item);
        start = config_text_trim(item, &length);
        if (length == 1 && *start == '#') { /* the filter #, every topic; an empty comment would
                                             * make no sense here */
            snprintf(filter, sizeof(filter), "#");
        } else if (config_text_take(start, length, filter, reason) != 0) {
            return 1;
        }
        if (filter[0] != '\0' && add(field, filter, reason) != 0) {
            return 1;
        }
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
