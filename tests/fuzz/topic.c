/*
 * Goal: any bytes as a topic are four levels that are slices of it, or a reason with a sentence,
 * with either way to read a version. A topic that one of them takes, the other takes as the same,
 * or refuses for its number of levels.
 */
#include "foxtrackr.h"
#include "fuzz.h"

/* The slice is not empty, is one level unless it has slashes, and lies `at` bytes into the topic.
 */
static size_t check_level(const char *topic, size_t at, const char *level, size_t length,
                          bool has_slashes)
{
    FUZZ_CHECK(level == topic + at);
    FUZZ_CHECK(length > 0);
    FUZZ_CHECK(has_slashes || !memchr(level, '/', length));
    FUZZ_CHECK(!memchr(level, '+', length) && !memchr(level, '#', length));
    FUZZ_CHECK(!memchr(level, '\0', length));
    return at + length;
}

static void check_levels(const char *topic, size_t length, const struct foxtrackr_topic *levels,
                         bool with_slashes)
{
    size_t at = check_level(topic, 0, levels->family, levels->family_length, false);
    json_t *text = json_stringn(topic, length);

    FUZZ_CHECK(text); /* it is UTF-8 */
    json_decref(text);
    at = check_level(topic, at + 1, levels->device_or_group, levels->device_or_group_length, false);
    at = check_level(topic, at + 1, levels->version, levels->version_length, with_slashes);
    at = check_level(topic, at + 1, levels->type, levels->type_length, false);
    FUZZ_CHECK(at == length);
    FUZZ_CHECK(levels->version_length >= 2 && levels->version[1] == '3');
}

static int parse(const char *topic, size_t size, bool with_slashes, struct foxtrackr_topic *out)
{
    struct foxtrackr_topic untouched_levels;
    struct foxtrackr_topic levels;
    struct foxtrackr_problem untouched_problem;
    struct foxtrackr_problem problem;
    int result;

    memset(&levels, 0x5A, sizeof(levels));
    memset(&problem, 0x5A, sizeof(problem));
    untouched_levels = levels;
    untouched_problem = problem;
    result = (with_slashes ? foxtrackr_topic_parse_slashes
                           : foxtrackr_topic_parse)(topic, size, &levels, &problem);
    if (result == 0) {
        check_levels(topic, size, &levels, with_slashes);
        *out = levels;
        FUZZ_CHECK(memcmp(&problem, &untouched_problem, sizeof(problem)) == 0);
    } else {
        FUZZ_CHECK(result == FOXTRACKR_E_TOPIC || result == FOXTRACKR_E_ENCODING ||
                   result == FOXTRACKR_E_VERSION);
        FUZZ_CHECK(problem.reason == result);
        FUZZ_CHECK(problem.detail[0] != '\0' && fuzz_is_one_line(problem.detail));
        FUZZ_CHECK(memcmp(&levels, &untouched_levels, sizeof(levels)) == 0);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *topic = fuzz_copy(data, size);
    struct foxtrackr_topic strict = {0};
    struct foxtrackr_topic loose = {0};
    int result = parse(topic, size, false, &strict);
    int loose_result = parse(topic, size, true, &loose);

    if (loose_result == 0 && memchr(loose.version, '/', loose.version_length)) {
        FUZZ_CHECK(result == FOXTRACKR_E_TOPIC);
    } else {
        FUZZ_CHECK(result == loose_result);
        FUZZ_CHECK(memcmp(&strict, &loose, sizeof(strict)) == 0);
    }
    free(topic);
    return 0;
}
