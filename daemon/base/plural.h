/* The form of a noun that a number needs: 1 entry, 0 entries, 2 entries. */
#ifndef BASE_PLURAL_H
#define BASE_PLURAL_H

#include <stdint.h>

static inline const char *plural(int64_t number, const char *one, const char *many)
{
    return number == 1 ? one : many;
}

/* The same for a noun with a mere s: "message%s", plural_s(count). */
static inline const char *plural_s(int64_t number)
{
    return plural(number, "", "s");
}

#endif
