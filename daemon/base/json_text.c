/*
 * Makes a string of JSON from any bytes. A buffer of a fixed size cuts a sentence, a path or a
 * client id at a byte, not at a character, and a path may hold any bytes; jansson would refuse the
 * whole document for one string that is no UTF-8.
 */
#include "base/json_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/escape.h"

json_t *json_text(const char *text)
{
    char *copy = strdup(text);
    json_t *string = NULL;

    if (copy != NULL) {
        escape_clean(copy);
        string = json_string(copy);
    }
    free(copy);
    return string;
}
