/*
 * The types of values. A reason quotes the text found, shortened, and says what is allowed; the
 * text of a secret is never quoted.
 */
#include "config/config_internal.h"

#include "base/zone.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#define SHOWN "\"%.80s\""

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                             {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit size_units[] = {
    {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}, {NULL, 0}};

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool config_value_is_name(const char *text)
{
    size_t length = 0;

    while (is_name_character(text[length])) {
        length++;
    }
    return length > 0 && text[length] == '\0';
}

/* --- text --- */

static bool text_same(const void *one, const void *other)
{
    const char *a = *(char *const *)one;
    const char *b = *(char *const *)other;

    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void text_clear(void *field)
{
    char **text = field;

    free(*text);
    *text = NULL;
}

static void secret_clear(void *field)
{
    char **text = field;

    if (*text != NULL) {
        explicit_bzero(*text, strlen(*text));
    }
    text_clear(field);
}

int config_value_copy(const char *text, size_t length, char **out, char *reason)
{
    char *copy = strndup(text, length);

    if (copy == NULL) {
        snprintf(reason, CONFIG_REASON_SIZE, "out of memory");
        return 1;
    }
    *out = copy;
    return 0;
}

static int text_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    (void)key;
    return config_value_copy(text, strlen(text), field, reason);
}

static int name_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    if (!config_value_is_name(text)) {
        snprintf(reason, CONFIG_REASON_SIZE,
                 SHOWN " is not a name: write letters, digits, - and _ only", text);
        return 1;
    }
    return text_parse(key, text, field, reason);
}

static int digits_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    size_t length = strspn(text, "0123456789");

    if (text[length] != '\0' || length > 4) {
        snprintf(reason, CONFIG_REASON_SIZE,
                 SHOWN " is not a number of one to four digits, such as 01", text);
        return 1;
    }
    return text_parse(key, text, field, reason);
}

/* Returns true for digits and dots that are not a plain IPv4 address; getaddrinfo() would accept
 * some of them: 010.0.0.1 as 8.0.0.1, and 127.1 as 127.0.0.1. */
static bool is_wrong_ipv4(const char *text)
{
    struct in_addr address;

    return text[strspn(text, "0123456789.")] == '\0' && inet_pton(AF_INET, text, &address) != 1;
}

/* Returns true when each label has 1 to 63 characters; the name may end with a dot. */
static bool has_good_labels(const char *text)
{
    for (size_t length; *text != '\0'; text += text[length] == '.' ? length + 1 : length) {
        length = strcspn(text, ".");
        if (length == 0 || length > 63) {
            return false;
        }
    }
    return true;
}

/* Returns true for an IPv6 address, with or without a link-local zone: "fe80::1%eth0". */
static bool is_ipv6(const char *text)
{
    struct in6_addr address;
    char copy[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "%");

    if (length >= sizeof(copy) || (text[length] == '%' && text[length + 1] == '\0')) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

/* Finds text that does not belong into a host name, like a scheme or a port. Returns the sentence
 * that follows the value, or NULL. */
static const char *host_fault(const char *text)
{
    bool ipv6 = is_ipv6(text);

    if (strstr(text, "://") != NULL || strchr(text, '/') != NULL) {
        return " is a URL: write the name of the host alone, and port and tls on lines of their "
               "own";
    }
    if (strchr(text, '@') != NULL) {
        return " holds a user: write the name of the host alone, and username on a line of its own";
    }
    if (text[0] == '[') {
        return ": write an IPv6 address without brackets, as ::1, and port on a line of its own";
    }
    if (strchr(text, '%') != NULL && !ipv6) {
        return " is no IPv6 address with a zone behind it, as fe80::1%eth0";
    }
    if (strchr(text, ':') != NULL && !ipv6) {
        return " holds a port: write the name alone, and port = on a line of its own";
    }
    if (is_wrong_ipv4(text)) {
        return " is no IPv4 address: write four numbers from 0 to 255 with dots between them and "
               "without leading zeros";
    }
    if (strlen(text) > 253 || (!ipv6 && !has_good_labels(text)) ||
        text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%")] != '\0') {
        return " is neither a host name nor an IP address: write one name of letters, digits, - "
               "and dots, or one address";
    }
    return NULL;
}

static int host_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    const char *fault = host_fault(text);
    const char *at = strrchr(text, '@'); /* a password may stand in front of it */

    if (fault != NULL) {
        snprintf(reason, CONFIG_REASON_SIZE, SHOWN "%s", at != NULL ? at : text, fault);
        return 1;
    }
    return text_parse(key, text, field, reason);
}

static int path_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    if (text[0] != '/') {
        snprintf(reason, CONFIG_REASON_SIZE,
                 SHOWN " is not an absolute path: it must begin with / (~ and $ are not replaced)",
                 text);
        return 1;
    }
    if (text[strlen(text) - 1] == '/') {
        snprintf(reason, CONFIG_REASON_SIZE,
                 SHOWN " is a directory: write the name of a file in it", text);
        return 1;
    }
    return text_parse(key, text, field, reason);
}

static int zone_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    const char *fault = zone_problem(text);

    if (fault != NULL) {
        snprintf(reason, CONFIG_REASON_SIZE, SHOWN " %s", text, fault);
        return 1;
    }
    return text_parse(key, text, field, reason);
}

static int path_or_none_parse(const struct config_key *key, const char *text, void *field,
                              char *reason)
{
    if (text[0] == '\0' || strcmp(text, "none") == 0) {
        *(char **)field = NULL;
        return 0;
    }
    return path_parse(key, text, field, reason);
}

const struct config_type config_value_text = {
    .parse = text_parse, .same = text_same, .clear = text_clear};
const struct config_type config_value_name = {
    .parse = name_parse, .same = text_same, .clear = text_clear};
const struct config_type config_value_digits = {
    .parse = digits_parse, .same = text_same, .clear = text_clear};
/* The file was checked to be UTF-8 without control characters, so any text is a valid client id. */
const struct config_type config_value_client_id = {
    .parse = text_parse, .same = text_same, .clear = text_clear};
const struct config_type config_value_host = {
    .parse = host_parse, .same = text_same, .clear = text_clear};
const struct config_type config_value_path = {
    .parse = path_parse, .same = text_same, .clear = text_clear};
const struct config_type config_value_path_or_none = {
    .parse = path_or_none_parse, .same = text_same, .clear = text_clear, .may_be_empty = true};
const struct config_type config_value_zone = {
    .parse = zone_parse, .same = text_same, .clear = text_clear};
const struct config_type config_value_secret = {
    .parse = text_parse, .same = text_same, .clear = secret_clear, .secret = true};

/* --- numbers --- */

/* Reads decimal digits at the start of `text`. Returns their end, or NULL: none, or too many. */
static const char *read_digits(const char *text, int64_t *out)
{
    int64_t value = 0;

    if (*text < '0' || *text > '9') {
        return NULL;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value)) {
            return NULL;
        }
    }
    *out = value;
    return text;
}

/* Prints a value in the largest unit that divides it: 262144 is 256KiB. */
static void print_in_units(char *out, size_t size, int64_t value, const struct unit *units)
{
    while (units[1].name != NULL && (value == 0 || value % units->factor != 0)) {
        units++;
    }
    snprintf(out, size, "%" PRId64 "%s", value / units->factor, value == 0 ? "" : units->name);
}

static int read_with_unit(const struct config_key *key, const char *text, const struct unit *units,
                          const char *advice, int64_t *out, char *reason)
{
    const struct unit *unit = units;
    int64_t value;
    const char *rest = read_digits(text, &value);
    char min[32];
    char max[32];

    if (rest == NULL) {
        snprintf(reason, CONFIG_REASON_SIZE, SHOWN " is not %s", text, advice);
        return 1;
    }
    while (*rest == ' ') {
        rest++;
    }
    while (unit->name != NULL && strcmp(unit->name, rest) != 0) {
        unit++;
    }
    /* A number without a unit means bytes (size_units); as a time it is ambiguous unless it is
     * zero. */
    if (unit->name == NULL && (value != 0 || *rest != '\0')) {
        snprintf(reason, CONFIG_REASON_SIZE, SHOWN " is not %s", text, advice);
        return 1;
    }
    if (__builtin_mul_overflow(value, unit->name != NULL ? unit->factor : 1, &value) ||
        value < key->min || value > key->max) {
        print_in_units(min, sizeof(min), key->min, units);
        print_in_units(max, sizeof(max), key->max, units);
        snprintf(reason, CONFIG_REASON_SIZE, SHOWN " is out of range: from %s to %s is allowed",
                 text, min, max);
        return 1;
    }
    *out = value;
    return 0;
}

static int integer_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    int64_t value;
    const char *rest = read_digits(text, &value);

    if (rest == NULL || *rest != '\0' || value < key->min || value > key->max) {
        bool digits = rest != NULL && *rest == '\0';

        snprintf(reason, CONFIG_REASON_SIZE,
                 SHOWN " is not a whole number from %" PRId64 " to %" PRId64 "%s", text, key->min,
                 key->max, digits ? "" : ": write digits alone, without a unit");
        return 1;
    }
    *(int *)field = (int)value;
    return 0;
}

static int size_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    int64_t value;

    if (read_with_unit(key, text, size_units, "a size: write a number and B, KiB or MiB", &value,
                       reason) != 0) {
        return 1;
    }
    *(size_t *)field = (size_t)value;
    return 0;
}

#define DURATION_ADVICE "a duration: write a number and ms, s, m, h or d, such as 5s"

static int duration_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    return read_with_unit(key, text, duration_units, DURATION_ADVICE, field, reason);
}

static int duration_int_parse(const struct config_key *key, const char *text, void *field,
                              char *reason)
{
    int64_t value;

    if (read_with_unit(key, text, duration_units, DURATION_ADVICE, &value, reason) != 0) {
        return 1;
    }
    *(int *)field = (int)value; /* fits: key->max is an int */
    return 0;
}

static bool int_same(const void *one, const void *other)
{
    return *(const int *)one == *(const int *)other;
}

static bool int64_same(const void *one, const void *other)
{
    return *(const int64_t *)one == *(const int64_t *)other;
}

static bool size_same(const void *one, const void *other)
{
    return *(const size_t *)one == *(const size_t *)other;
}

const struct config_type config_value_integer = {.parse = integer_parse, .same = int_same};
const struct config_type config_value_size = {.parse = size_parse, .same = size_same};
const struct config_type config_value_duration = {.parse = duration_parse, .same = int64_same};
const struct config_type config_value_duration_int = {.parse = duration_int_parse,
                                                      .same = int_same};

/* --- choices --- */

struct choice {
    const char *name;
    int value;
};

static int read_choice(const char *text, const struct choice *choices, int *out, char *reason)
{
    int used;

    for (const struct choice *choice = choices; choice->name != NULL; choice++) {
        if (strcmp(choice->name, text) == 0) {
            *out = choice->value;
            return 0;
        }
    }
    used = snprintf(reason, CONFIG_REASON_SIZE, SHOWN " is not one of", text);
    for (const struct choice *choice = choices; choice->name != NULL; choice++) {
        used += snprintf(reason + used, CONFIG_REASON_SIZE - (size_t)used, "%s %s",
                         choice == choices ? "" : ",", choice->name);
    }
    return 1;
}

static int bool_from(const char *text, const struct choice *choices, bool *out, char *reason)
{
    int value;

    if (read_choice(text, choices, &value, reason) != 0) {
        return 1;
    }
    *out = value != 0;
    return 0;
}

static int yes_no_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    static const struct choice choices[] = {{"yes", 1}, {"no", 0}, {NULL, 0}};

    (void)key;
    return bool_from(text, choices, field, reason);
}

static int durability_parse(const struct config_key *key, const char *text, void *field,
                            char *reason)
{
    static const struct choice choices[] = {{"full", 1}, {"normal", 0}, {NULL, 0}};

    (void)key;
    return bool_from(text, choices, field, reason);
}

static int engine_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    static const struct choice choices[] = {
        {"sqlite", CONFIG_SQLITE}, {"postgresql", CONFIG_POSTGRESQL}, {NULL, 0}};
    int value;

    (void)key;
    if (read_choice(text, choices, &value, reason) != 0) {
        return 1;
    }
    *(enum config_engine *)field = (enum config_engine)value;
    return 0;
}

static bool engine_same(const void *one, const void *other)
{
    return *(const enum config_engine *)one == *(const enum config_engine *)other;
}

static int protocol_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    static const struct choice choices[] = {
        {"auto", CONFIG_AUTO}, {"5", CONFIG_MQTT_5}, {"3.1.1", CONFIG_MQTT_3_1_1}, {NULL, 0}};
    /* Other ways to write them, and versions that foxtrackrd does not speak. */
    static const char *const hints[][2] = {{"5.0", "5"},        {"v5", "5"},     {"mqtt5", "5"},
                                           {"3", "3.1.1"},      {"4", "3.1.1"},  {"311", "3.1.1"},
                                           {"v3.1.1", "3.1.1"}, {"mqttv5", "5"}, {"mqtt3", "3.1.1"},
                                           {"3.1", "3.1.1"}};
    int value;

    (void)key;
    if (read_choice(text, choices, &value, reason) == 0) {
        *(enum config_protocol *)field = (enum config_protocol)value;
        return 0;
    }
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (strcasecmp(text, hints[i][0]) == 0) {
            size_t used = strlen(reason);

            snprintf(reason + used, CONFIG_REASON_SIZE - used, " (did you mean %s?)", hints[i][1]);
        }
    }
    return 1;
}

static int log_target_parse(const struct config_key *key, const char *text, void *field,
                            char *reason)
{
    static const struct choice choices[] = {{"journal", CONFIG_LOG_JOURNAL},
                                            {"stderr", CONFIG_LOG_STDERR},
                                            {"file", CONFIG_LOG_FILE},
                                            {NULL, 0}};
    int value;

    (void)key;
    if (read_choice(text, choices, &value, reason) != 0) {
        return 1;
    }
    *(enum config_log_target *)field = (enum config_log_target)value;
    return 0;
}

static int log_level_parse(const struct config_key *key, const char *text, void *field,
                           char *reason)
{
    static const struct choice choices[] = {{"err", LOG_ERR},       {"warning", LOG_WARNING},
                                            {"notice", LOG_NOTICE}, {"info", LOG_INFO},
                                            {"debug", LOG_DEBUG},   {NULL, 0}};

    (void)key;
    return read_choice(text, choices, field, reason);
}

static bool bool_same(const void *one, const void *other)
{
    return *(const bool *)one == *(const bool *)other;
}

static bool protocol_same(const void *one, const void *other)
{
    return *(const enum config_protocol *)one == *(const enum config_protocol *)other;
}

static bool log_target_same(const void *one, const void *other)
{
    return *(const enum config_log_target *)one == *(const enum config_log_target *)other;
}

const struct config_type config_value_yes_no = {.parse = yes_no_parse, .same = bool_same};
const struct config_type config_value_durability = {.parse = durability_parse, .same = bool_same};
const struct config_type config_value_engine = {.parse = engine_parse, .same = engine_same};
const struct config_type config_value_protocol = {.parse = protocol_parse, .same = protocol_same};
const struct config_type config_value_log_target = {.parse = log_target_parse,
                                                    .same = log_target_same};
const struct config_type config_value_log_level = {.parse = log_level_parse, .same = int_same};
