/*
 * What is said about a configuration: "file:line: key: sentence".
 *
 * The first problem ends the reading and is the only one that is told. A warning does not: the
 * configuration works, and may not be what the operator meant. No text here ever holds a secret.
 */
#include "config_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void config_note(struct config_loading *loading, int line, const char *name, const char *format,
                 ...)
{
    va_list arguments;

    if (loading->failed_line != 0) {
        return;
    }
    loading->failed_line = line > 0 ? line : -1;
    va_start(arguments, format);
    write_sentence(loading->problem, loading->config->path, line, name, format, arguments);
    va_end(arguments);
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
