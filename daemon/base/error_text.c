/* The C library's table of errors, without its buffer and without its NULL. */
#include "base/error_text.h"

#include <string.h>

const char *error_text(int error)
{
    const char *text = strerrordesc_np(error);

    return text != NULL ? text : "unknown error";
}
