/* Prints a parsed message as one line of JSON. The form is documented in libfoxtrackr(3). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#include "foxtrackr.h"

/* Adds a string, or null. */
static void add_text(struct foxtrackr__text *text, const char *name, const char *value)
{
    foxtrackr__text_add_string(text, name);
    if (value) {
        foxtrackr__text_add_quoted(text, value, strlen(value));
    } else {
        foxtrackr__text_add_string(text, "null");
    }
}

static void add_real(struct foxtrackr__text *text, const char *name, double value)
{
    foxtrackr__text_add_string(text, name);
    foxtrackr__text_add_real(text, value);
}

static void add_integer(struct foxtrackr__text *text, const char *name, int64_t value)
{
    foxtrackr__text_add_string(text, name);
    foxtrackr__text_add_integer(text, value);
}

/* Adds extra, which is JSON already, and ends its row's object. */
static void add_extra(struct foxtrackr__text *text, const char *extra)
{
    foxtrackr__text_add_string(text, ",\"extra\":");
    foxtrackr__text_add_string(text, extra ? extra : "null");
    foxtrackr__text_add_string(text, "}");
}

int foxtrackr_message_to_json(const struct foxtrackr_message *message, char **out)
{
    struct foxtrackr__text text = {0};

    add_text(&text, "{\"device\":{\"family\":", message->family);
    add_text(&text, ",\"device_id\":", message->device_id);
    add_text(&text, ",\"group\":", message->group);
    add_text(&text, "},\"type\":", message->type);
    add_text(&text, ",\"version\":", message->version);
    add_integer(&text, ",\"time_ms\":", message->time_ms);
    add_integer(&text, ",\"message_type\":", message->message_type);
    if (message->has_battery) {
        add_real(&text, ",\"battery\":{\"voltage_v\":", message->voltage_v);
        add_real(&text, ",\"level_pct\":", message->level_pct);
        add_extra(&text, message->battery_extra);
    }
    if (message->has_temperature) {
        add_real(&text, ",\"temperature\":{\"celsius\":", message->celsius);
        add_extra(&text, message->temperature_extra);
    }
    if (message->has_other) {
        foxtrackr__text_add_string(&text, ",\"other\":true");
    }
    foxtrackr__text_add(&text, "}", sizeof("}")); /* including the NUL */
    if (text.failed) {
        free(text.data);
        return -ENOMEM;
    }
    *out = text.data;
    return 0;
}
