/*
 * A name server of the test's own: LD_PRELOAD this.
 *
 *     FAULT_NAMES    a file with a line for each name: "name address address ...". It is read anew
 *                    for each question, so that the answer can change while the program runs. The
 *                    addresses come in the order of the line; other names are asked for as ever.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*getaddrinfo_function)(const char *, const char *, const struct addrinfo *,
                                    struct addrinfo **);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    static const char blanks[] = " \t\n";
    getaddrinfo_function real = (getaddrinfo_function)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *path = getenv("FAULT_NAMES");
    FILE *file = name != NULL && path != NULL ? fopen(path, "re") : NULL;
    struct addrinfo **end = out;
    char line[1024];
    int rc = -1;

    while (file != NULL && rc != 0 && fgets(line, sizeof(line), file) != NULL) {
        char *state = NULL;
        char *word = strtok_r(line, blanks, &state);

        if (word == NULL || strcmp(word, name) != 0) {
            continue;
        }
        rc = EAI_NONAME;
        while ((word = strtok_r(NULL, blanks, &state)) != NULL &&
               (rc = real(word, service, hints, end)) == 0) {
            while (*end != NULL) {
                end = &(*end)->ai_next;
            }
        }
        if (rc != 0) {
            fclose(file);
            return rc;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return rc == 0 ? 0 : real(name, service, hints, out);
}
