/* The output of foxtrackrctl. */
#ifndef CTL_SAY_INTERNAL_H
#define CTL_SAY_INTERNAL_H

#include <jansson.h>

/* Print "foxtrackrctl: ", the text and an end of line to standard error. */
void ctl_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print lines of text to standard output. */
void ctl_say_text(const char *text);

/* Print a value to standard output, with jansson's flags, and an end of line. */
void ctl_say_json(const json_t *root, size_t flags);

/* Print JSON text to standard output, and an end of line. */
void ctl_say_json_text(const char *json);

#endif
