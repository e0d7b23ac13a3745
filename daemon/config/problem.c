/*
 * The problems and warnings of a configuration: "file:line: key: sentence".
 *
 * Each problem makes the configuration invalid. The first CONFIG_PROBLEMS_MAX by line are kept, the
 * others are counted. With a warning, which config->warnings has, the configuration is valid but
 * may not be what the operator meant. Line and key are left out where there is none. No text here
 * ever holds a secret.
 */
#include "config/config_internal.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plural.h"

static void write_sentence(char *out, const char *path, int line, const char *name,
                           const char *format, va_list arguments)
    __attribute__((format(printf, 5, 0)));

static void write_sentence(char *out, const char *path, int line, const char *name,
                           const char *format, va_list arguments)
{
    size_t left = CONFIG_PROBLEM_SIZE;
    int used = snprintf(out, left, "%.200s:", path);

    if (line > 0) {
        used += snprintf(out + used, left - (size_t)used, "%d:", line);
    }
    if (name != NULL) {
        used += snprintf(out + used, left - (size_t)used, " %.100s:", name);
    }
    out[used++] = ' ';
    vsnprintf(out + used, left - (size_t)used, format, arguments);
}

/* Makes room for a problem of this line after those of the same line. Returns its place, or NULL
 * when CONFIG_PROBLEMS_MAX problems of earlier lines are kept already. */
static char *insert(struct config_problems *problems, int line)
{
    size_t kept = problems->count < CONFIG_PROBLEMS_MAX ? problems->count : CONFIG_PROBLEMS_MAX;
    size_t place = kept;
    size_t moved;

    problems->count++;
    while (place > 0 && problems->lines[place - 1] > line) {
        place--;
    }
    if (place == CONFIG_PROBLEMS_MAX) {
        return NULL;
    }
    moved = (kept < CONFIG_PROBLEMS_MAX ? kept : CONFIG_PROBLEMS_MAX - 1) - place;
    memmove(&problems->lines[place + 1], &problems->lines[place], moved * sizeof(int));
    memmove(problems->sentences[place + 1], problems->sentences[place],
            moved * sizeof(problems->sentences[0]));
    problems->lines[place] = line;
    return problems->sentences[place];
}

void config_note(struct config_loading *loading, int line, const char *name, const char *format,
                 ...)
{
    char *sentence = insert(loading->problems, line > 0 ? line : INT_MAX);
    va_list arguments;

    if (sentence == NULL) {
        return;
    }
    va_start(arguments, format);
    write_sentence(sentence, loading->config->path, line, name, format, arguments);
    va_end(arguments);
}

void config_problems_tell(const struct config_problems *problems, const char *path,
                          void (*tell)(const char *sentence))
{
    char more[CONFIG_PROBLEM_SIZE];

    for (size_t i = 0; i < problems->count && i < CONFIG_PROBLEMS_MAX; i++) {
        tell(problems->sentences[i]);
    }
    if (problems->count > CONFIG_PROBLEMS_MAX) {
        size_t left = problems->count - CONFIG_PROBLEMS_MAX;

        snprintf(more, sizeof(more), "%.200s: and %zu more %s", path, left,
                 plural((int64_t)left, "problem", "problems"));
        tell(more);
    }
}

int config_warn(struct config_loading *loading, int line, const char *name, const char *format, ...)
{
    struct config *config = loading->config;
    size_t size = (config->warning_count + 1) * sizeof(*config->warnings);
    char **longer = realloc(config->warnings, size);
    char sentence[CONFIG_PROBLEM_SIZE];
    char reason[CONFIG_REASON_SIZE];
    va_list arguments;

    if (longer == NULL) {
        return config_fail(loading, line, name, "out of memory");
    }
    config->warnings = longer;
    va_start(arguments, format);
    write_sentence(sentence, config->path, line, name, format, arguments);
    va_end(arguments);
    if (config_value_copy(sentence, strlen(sentence), &longer[config->warning_count], reason) !=
        0) {
        return config_fail(loading, line, name, "%s", reason);
    }
    config->warning_count++;
    return 0;
}
