/* The shortest decimal text of a double. Pure; any thread, in the locale "C". */
#ifndef BASE_REAL_TEXT_H
#define BASE_REAL_TEXT_H

#include <stddef.h>

#define REAL_TEXT_SIZE 32

/*
 * Write the shortest text that strtod(), SQLite, JSON and CSV readers take for the same double, and
 * that is recognised as a real: "3.7", "4.0", "1e+20" becomes "1.0e+20". An infinity is "9e999" or
 * "-9e999", which is valid JSON and which they take for an infinity too. `real` is not NAN. Returns
 * the length; a NUL follows.
 */
size_t real_text(double real, char text[REAL_TEXT_SIZE]);

#endif
