/*
 * The output functions of foxtrackrctl, which escape control characters.
 *
 * Texts come from the broker, from trackers, from a status file that any program may have written,
 * and from file names. A control character in them must not reach the terminal: it could move the
 * cursor, forge a line, or do worse. So every text passes through base/escape.h here.
 */
#include "ctl/say_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/escape.h"

#define TEXT_SIZE 4096

void ctl_say(const char *format, ...)
{
    char text[TEXT_SIZE];
    char escaped[4 * TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    escape_line(escaped, sizeof(escaped), text);
    fflush(stdout);
    fprintf(stderr, "foxtrackrctl: %s\n", escaped);
}

void ctl_say_text(const char *text)
{
    char *escaped = escape_text(text);

    fputs(escaped != NULL ? escaped : "out of memory\n", stdout);
    free(escaped);
}

void ctl_say_json_text(const char *json)
{
    char *escaped = escape_json(json);

    puts(escaped != NULL ? escaped : "null");
    free(escaped);
}

void ctl_say_json(const json_t *root, size_t flags)
{
    char *text = json_dumps(root, flags);

    ctl_say_json_text(text != NULL ? text : "null");
    free(text);
}
