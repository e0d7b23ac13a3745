/*
 * Buffers of a fixed size cut a sentence, a path or a client id at a byte, not at a character, and
 * a path may hold any bytes. One string that is no UTF-8 must not cost the whole document.
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
