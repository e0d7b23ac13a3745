/*
 * Splits topics of the form family/device-or-group/version/type and checks their levels.
 *
 * RabbitMQ keeps topics with dots for slashes, and hands out a slash for every dot: V3.0 comes back
 * as V3/0, which makes five levels of four. A version is the only level of which that can be told:
 * `with_slashes` takes levels of digits behind V3 as its parts.
 */
#include <string.h>

#include "problem.h"
#include "utf8.h"

enum { LEVELS = 4 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Returns true for V3, and for V3 with any number of dotted numbers, in either case. With slashes a
 * dot may be a slash. */
static bool is_version_3(const char *text, size_t length, bool with_slashes)
{
    size_t at = 2;

    if (length < 2 || (text[0] != 'V' && text[0] != 'v') || text[1] != '3') {
        return false;
    }
    while (at < length) {
        size_t digits = 0;

        if (text[at] != '.' && !(with_slashes && text[at] == '/')) {
            return false;
        }
        at++;
        while (at + digits < length && is_digit(text[at + digits])) {
            digits++;
        }
        if (digits == 0) {
            return false;
        }
        at += digits;
    }
    return true;
}

/* Returns how many levels there are; the first LEVELS of them are set. */
static size_t split(const char *topic, size_t length, const char *level[LEVELS],
                    size_t level_length[LEVELS])
{
    const char *end = topic + length;
    const char *start = topic;
    size_t count = 0;

    for (;;) {
        const char *slash = memchr(start, '/', (size_t)(end - start));
        const char *stop = slash ? slash : end;

        if (count < LEVELS) {
            level[count] = start;
            level_length[count] = (size_t)(stop - start);
        }
        count++;
        if (!slash) {
            return count;
        }
        start = slash + 1;
    }
}

/*
 * Returns true when more than LEVELS levels are four, the third a version with slashes. The third
 * and the fourth level are then set to that version and to what is behind it.
 */
static bool join_version(const char *topic, size_t length, const char *level[LEVELS],
                         size_t level_length[LEVELS])
{
    const char *end = topic + length;
    const char *last = memrchr(topic, '/', length);
    size_t version_length = (size_t)(last - level[2]);

    if (!is_version_3(level[2], version_length, true)) {
        return false;
    }
    level_length[2] = version_length;
    level[3] = last + 1;
    level_length[3] = (size_t)(end - level[3]);
    return true;
}

/* Returns a guess why a topic has not four levels, to be put behind the reason. */
static const char *hint_of(const char *topic, bool slashes)
{
    if (slashes) {
        return ": the dot of its version has become a slash, as at RabbitMQ";
    }
    return topic[0] == '/' ? ": leave out the / in front" : "";
}

static int parse(const char *topic, size_t length, bool with_slashes, struct foxtrackr_topic *out,
                 struct foxtrackr_problem *problem)
{
    char quoted[FOXTRACKR__QUOTE_SIZE];
    const char *level[LEVELS];
    size_t level_length[LEVELS];
    size_t valid;
    size_t count;
    bool slashes;

    if (length == 0) {
        return foxtrackr__problem(problem, FOXTRACKR_E_TOPIC, "topic: empty");
    }
    valid = foxtrackr__utf8_span(topic, length);
    if (valid < length) {
        return foxtrackr__text_problem(problem, "topic", topic, valid);
    }
    if (memchr(topic, '+', length) || memchr(topic, '#', length)) {
        return foxtrackr__problem(problem, FOXTRACKR_E_TOPIC,
                                  "topic %s: '+' and '#' are wildcards, for filters only",
                                  foxtrackr__quote(quoted, topic, length));
    }
    count = split(topic, length, level, level_length);
    slashes = count > LEVELS && join_version(topic, length, level, level_length);
    if (count != LEVELS && !(slashes && with_slashes)) {
        return foxtrackr__problem(problem, FOXTRACKR_E_TOPIC,
                                  "topic %s: expected family/device-or-group/version/type, "
                                  "found %zu level%s%s",
                                  foxtrackr__quote(quoted, topic, length), count,
                                  count == 1 ? "" : "s", hint_of(topic, slashes));
    }
    for (size_t i = 0; i < LEVELS; i++) {
        if (level_length[i] == 0) {
            return foxtrackr__problem(problem, FOXTRACKR_E_TOPIC, "topic %s: level %zu is empty",
                                      foxtrackr__quote(quoted, topic, length), i + 1);
        }
    }
    if (!is_version_3(level[2], level_length[2], with_slashes)) {
        return foxtrackr__problem(problem, FOXTRACKR_E_VERSION,
                                  "topic level 3: expected V3 or V3.x, found %s",
                                  foxtrackr__quote(quoted, level[2], level_length[2]));
    }
    *out = (struct foxtrackr_topic){
        .family = level[0],
        .family_length = level_length[0],
        .device_or_group = level[1],
        .device_or_group_length = level_length[1],
        .version = level[2],
        .version_length = level_length[2],
        .type = level[3],
        .type_length = level_length[3],
    };
    return 0;
}

int foxtrackr_topic_parse(const char *topic, size_t length, struct foxtrackr_topic *out,
                          struct foxtrackr_problem *problem)
{
    return parse(topic, length, false, out, problem);
}

int foxtrackr_topic_parse_slashes(const char *topic, size_t length, struct foxtrackr_topic *out,
                                  struct foxtrackr_problem *problem)
{
    return parse(topic, length, true, out, problem);
}
