/*
 * The name of another process. A process chooses its own name, so the name is not trusted: it is
 * cut, and characters that could move a terminal's cursor are replaced.
 */
#include "base/process_name.h"

#include <inttypes.h>
#include <stdio.h>

const char *process_name(int64_t pid, char name[PROCESS_NAME_SIZE])
{
    char path[64];
    size_t length = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%" PRId64 "/comm", pid);
    file = pid > 0 ? fopen(path, "re") : NULL;
    if (file != NULL) {
        length = fread(name, 1, PROCESS_NAME_SIZE - 1, file);
        fclose(file);
    }
    if (length > 0 && name[length - 1] == '\n') {
        length--;
    }
    name[length] = '\0';
    for (size_t i = 0; i < length; i++) {
        if (name[i] < ' ' || name[i] > '~') {
            name[i] = '?';
        }
    }
    return name;
}

const char *process_text(int64_t pid, const char *known_as, char text[PROCESS_TEXT_SIZE])
{
    char name[PROCESS_NAME_SIZE];

    if (pid <= 0) {
        snprintf(text, PROCESS_TEXT_SIZE, "a process of a container or of another machine");
        return text;
    }
    if (known_as == NULL || known_as[0] == '\0') {
        known_as = process_name(pid, name);
    }
    snprintf(text, PROCESS_TEXT_SIZE, "process %" PRId64 "%s%.*s%s", pid,
             known_as[0] != '\0' ? " (" : "", PROCESS_NAME_SIZE, known_as,
             known_as[0] != '\0' ? ")" : "");
    return text;
}
