/*
 * foxtrackrctl parse: parses one message with the daemon's parser, and [fields] and [parser] of the
 * configuration if there is one. Reads no database and writes none.
 */
#include "ctl/commands_internal.h"
#include "ctl/say_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/error_text.h"
#include "base/escape.h"
#include "foxtrackr.h"

#define DEFAULT_MAX_FUTURE_MS INT64_C(86400000)
#define READ_STEP             ((size_t)64 * 1024)

/* Returns the whole file, which the caller frees; or NULL with errno set. */
static char *read_all(FILE *in, size_t *length)
{
    char *bytes = NULL;
    size_t used = 0;

    for (;;) {
        char *larger = realloc(bytes, used + READ_STEP);
        size_t got;

        if (larger == NULL) {
            free(bytes);
            return NULL;
        }
        bytes = larger;
        got = fread(bytes + used, 1, READ_STEP, in);
        used += got;
        if (got < READ_STEP) {
            if (ferror(in)) {
                free(bytes);
                return NULL;
            }
            *length = used;
            return bytes;
        }
    }
}

static int print_rows(const struct foxtrackr_fields *fields, int64_t max_future_ms,
                      const char *topic, const char *payload, size_t length)
{
    struct foxtrackr_message message;
    struct foxtrackr_problem problem;
    char detail[4 * sizeof(problem.detail) + 8];
    char *json = NULL;
    int result = foxtrackr_message_parse(fields, clock_wall_ms(), max_future_ms, topic,
                                         strlen(topic), payload, length, &message, &problem);

    if (result > 0) {
        escape_line(detail, sizeof(detail), problem.detail);
        fprintf(stderr, "%s: %s\n", foxtrackr_reason_name(result), detail);
        return 1;
    }
    if (result == 0) {
        result = foxtrackr_message_to_json(&message, &json);
        foxtrackr_message_clear(&message);
    }
    if (result != 0) {
        fputs("foxtrackrctl: out of memory\n", stderr);
        return EX_OSERR;
    }
    ctl_say_json_text(json);
    free(json);
    return EX_OK;
}

int ctl_parse(const struct config *config, const char *topic, const char *file)
{
    FILE *in = file != NULL ? fopen(file, "rb") : stdin;
    struct foxtrackr_fields *built_in = NULL;
    char *payload;
    size_t length = 0;
    int status = EX_OSERR;

    if (in == NULL) {
        ctl_say("%s: %s", file, error_text(errno));
        return EX_NOINPUT;
    }
    payload = read_all(in, &length);
    if (payload == NULL) {
        ctl_say("%s: %s", file != NULL ? file : "standard input", error_text(errno));
        status = EX_NOINPUT;
    } else if (config != NULL && length > config->parser.max_payload) {
        fprintf(stderr, "oversize: payload of %zu bytes, over parser.max_payload = %zu\n", length,
                config->parser.max_payload);
        status = 1;
    } else if (config != NULL) {
        status = print_rows(config->fields, config->parser.max_future_ms, topic, payload, length);
    } else if (foxtrackr_fields_new(&built_in) == 0) {
        status = print_rows(built_in, DEFAULT_MAX_FUTURE_MS, topic, payload, length);
    } else {
        fputs("foxtrackrctl: out of memory\n", stderr);
    }
    foxtrackr_fields_free(built_in);
    free(payload);
    if (file != NULL) {
        fclose(in);
    }
    return status;
}
