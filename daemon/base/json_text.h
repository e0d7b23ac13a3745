/* Text of unknown origin as a JSON string. Any thread. */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include <jansson.h>

/*
 * A new reference to a string of `text`, which may be cut within a character or hold any bytes: see
 * escape_clean(). jansson refuses such text and with it the whole document around it. NULL when out
 * of memory.
 */
json_t *json_text(const char *text);

#endif
