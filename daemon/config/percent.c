/* Percent-encoding in a URL (RFC 3986 §2.1). */
#include "config/config_internal.h"

#include <string.h>

/* Returns the value of a hexadecimal digit, or -1. */
static int hex(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;

    return found != NULL ? (int)(found - digits) % 16 : -1;
}

bool config_percent_decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '%') {
            int high = hex(from[1]);
            int low = high >= 0 ? hex(from[2]) : -1;

            if (low < 0) {
                return false;
            }
            *to++ = (char)(high << 4 | low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return true;
}
