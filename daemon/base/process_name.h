/* The name of another process, for people. */
#ifndef BASE_PROCESS_NAME_H
#define BASE_PROCESS_NAME_H

#include <stdint.h>

#define PROCESS_NAME_SIZE 64

/* Reads the process's name from /proc and replaces all but printable ASCII by "?". Returns `name`;
 * "" when there is no such process, or it is hidden from us. Any thread. */
const char *process_name(int64_t pid, char name[PROCESS_NAME_SIZE]);

#define PROCESS_TEXT_SIZE (PROCESS_NAME_SIZE + 64)

/* The process in words, "process 4711 (sqlite3)". `known_as` is its name if the caller has it; with
 * NULL or "" it is read from /proc. A pid of 0 is a process of another namespace. Returns `text`.
 * Any thread. */
const char *process_text(int64_t pid, const char *known_as, char text[PROCESS_TEXT_SIZE]);

#endif
