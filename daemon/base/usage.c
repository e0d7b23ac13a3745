/*
 * Errors in command-line options. getopt_long()'s result and optopt say what is wrong; the wrong
 * word is the one before optind, except for a short option, which may be grouped with others in one
 * word.
 */
#include "base/usage.h"

#include <stdio.h>
#include <string.h>

#include "base/similar.h"

/* The known option that was meant by -x or --wrod, or NULL. */
static const char *nearest(const struct option *options, const char *word)
{
    struct similar search = {.word = word};

    for (; options->name != NULL; options++) {
        if (word[1] == '\0' && options->name[0] == word[0]) {
            return options->name; /* -j for --json */
        }
        similar_try(&search, options->name);
    }
    return search.best;
}

/* Writes " (did you mean --json?)", or the list of options. */
static void hint(const char *who, const struct option *options, const char *word, char *out,
                 size_t size)
{
    const char *meant = nearest(options, word);

    if (meant != NULL) {
        snprintf(out, size, " (did you mean --%s?)", meant);
    } else {
        size_t used = 0;

        out[0] = '\0';
        for (; options->name != NULL && used < size; options++) {
            used += (size_t)snprintf(out + used, size - used, "%s--%s",
                                     used > 0      ? ", "
                                     : who != NULL ? "; it has "
                                                   : "; there are ",
                                     options->name);
        }
    }
}

const char *usage_option(const char *who, int result, char **argv, const struct option *options,
                         char problem[USAGE_PROBLEM_SIZE])
{
    const char *word = argv[optind - 1];
    char name[64];
    char more[128];
    char begin[64];

    snprintf(begin, sizeof(begin), "%s%s", who != NULL ? who : "there is",
             who != NULL ? " has" : "");
    if (result == ':') {
        snprintf(problem, USAGE_PROBLEM_SIZE, "%.60s needs a value", word);
    } else if (optopt != 0 && strncmp(word, "--", 2) == 0 && strchr(word, '=') != NULL) {
        snprintf(problem, USAGE_PROBLEM_SIZE, "%.*s takes no value", (int)strcspn(word, "="), word);
    } else if (optopt != 0) {
        snprintf(name, sizeof(name), "%c", optopt);
        hint(who, options, name, more, sizeof(more));
        snprintf(problem, USAGE_PROBLEM_SIZE, "%s no option -%s%s", begin, name, more);
    } else {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
        hint(who, options, name, more, sizeof(more));
        snprintf(problem, USAGE_PROBLEM_SIZE, "%s no option --%s%s", begin, name, more);
    }
    return problem;
}
