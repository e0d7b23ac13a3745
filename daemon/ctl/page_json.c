/*
 * Writes the data of the report's page as compact JSON: column arrays, and the daily series as text
 * of two digits of base 64 for each device and day. daemon/ctl/report/data.js reads it.
 *
 * The JSON stands in a script element of the page. A text of the database can end that element only
 * with "</script", so every "<" is written as an escape; control characters, characters that change
 * the direction of text and bytes that are no UTF-8 are made visible first, as in a log.
 */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "ctl/page_data_internal.h"
#include "store/measures.h"

#define TEXT_SIZE 512

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Digits of base 64; a number that does not fit becomes the nearest one that does. */
static void put_digits(FILE *out, int64_t number, int digits)
{
    int64_t most = ((int64_t)1 << (6 * digits)) - 1;

    number = number < 0 ? 0 : number > most ? most : number;
    for (int shift = 6 * (digits - 1); shift >= 0; shift -= 6) {
        putc_unlocked(DIGITS[(number >> shift) % 64], out);
    }
}

static void put_text(FILE *out, const char *text)
{
    char line[TEXT_SIZE];

    if (text == NULL) {
        fputs("null", out);
        return;
    }
    escape_line(line, sizeof(line), text);
    putc('"', out);
    for (const char *at = line; *at != '\0'; at++) {
        if (strchr("<>&'", *at) != NULL) {
            fprintf(out, "\\u%04x", (unsigned)*at);
        } else {
            if (*at == '"' || *at == '\\') {
                putc('\\', out);
            }
            putc(*at, out);
        }
    }
    putc('"', out);
}

static void put_integer(FILE *out, int64_t value)
{
    fprintf(out, "%" PRId64, value);
}

/* A number with so many decimals, without zeros at its end; null for NAN. */
static void put_decimal(FILE *out, double value, int decimals)
{
    double scale = pow(10, decimals);
    int64_t scaled;
    char fraction[16];
    size_t length;

    if (isnan(value) || fabs(value) > 1e12) {
        fputs("null", out);
        return;
    }
    scaled = (int64_t)llround(fabs(value) * scale);
    length = (size_t)snprintf(fraction, sizeof(fraction), "%0*" PRId64, decimals,
                              scaled % (int64_t)scale);
    while (length > 0 && fraction[length - 1] == '0') {
        fraction[--length] = '\0';
    }
    fprintf(out, "%s%" PRId64 "%s%s", value < 0 && scaled != 0 ? "-" : "", scaled / (int64_t)scale,
            length > 0 ? "." : "", fraction);
}

/* Writes ,"name":[ or {, as `open` says. The object before it is not empty. */
static void put_name(FILE *out, const char *name, const char *open)
{
    fprintf(out, ",\"%s\":%s", name, open);
}

/* --- columns ---------------------------------------------------------------------------------- */

/* How a member of a struct is written. */
enum kind {
    TEXT,     /* char * */
    INDEX,    /* size_t */
    COUNT,    /* int64_t */
    FLAG,     /* bool, as 0 or 1 */
    TIME,     /* int64_t, in ms; null for PAGE_NO_TIME */
    SECOND,   /* the same, in seconds behind the report's begin */
    AGO,      /* the same, in seconds before the report's end: a short number */
    INTERVAL, /* int64_t in ms, as seconds; null for 0 */
    TENTHS,   /* double with so many decimals; null for NAN */
    HUNDREDTHS,
    THOUSANDTHS,
    GROUPS, /* of a struct page_device */
};

struct column {
    const char *name;
    enum kind kind;
    size_t offset;
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void put_groups(FILE *out, const struct page_device *device)
{
    putc('[', out);
    for (size_t i = 0; i < device->group_count; i++) {
        fprintf(out, "%s%zu", i > 0 ? "," : "", device->groups[i]);
    }
    putc(']', out);
}

static void put_time(FILE *out, const struct page_data *data, enum kind kind, int64_t time_ms)
{
    if (time_ms == PAGE_NO_TIME) {
        fputs("null", out);
    } else if (kind == SECOND) {
        put_integer(out, (time_ms - data->since_ms) / 1000);
    } else {
        put_integer(out, kind == AGO ? (data->request->until_ms - time_ms) / 1000 : time_ms);
    }
}

static void put_value(FILE *out, const struct page_data *data, enum kind kind, const void *member)
{
    switch (kind) {
    case TEXT:
        put_text(out, *(char *const *)member);
        break;
    case INDEX:
        fprintf(out, "%zu", *(const size_t *)member);
        break;
    case COUNT:
        put_integer(out, *(const int64_t *)member);
        break;
    case FLAG:
        putc(*(const bool *)member ? '1' : '0', out);
        break;
    case INTERVAL:
        put_decimal(
            out, *(const int64_t *)member > 0 ? (double)*(const int64_t *)member / 1000 : NAN, 0);
        break;
    case TENTHS:
    case HUNDREDTHS:
    case THOUSANDTHS:
        put_decimal(out, *(const double *)member, 1 + (int)(kind - TENTHS));
        break;
    case GROUPS:
        put_groups(out, member);
        break;
    default:
        put_time(out, data, kind, *(const int64_t *)member);
    }
}

/* Writes ,"name":{"column":[…],…} for a list. */
static void put_columns(FILE *out, const struct page_data *data, const char *name,
                        const struct page_list *list, size_t item_size,
                        const struct column *columns, size_t count)
{
    put_name(out, name, "{");
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s\"%s\":[", i > 0 ? "," : "", columns[i].name);
        for (size_t j = 0; j < list->count; j++) {
            fputs(j > 0 ? "," : "", out);
            put_value(out, data, columns[i].kind,
                      (const char *)list->items + j * item_size + columns[i].offset);
        }
        putc(']', out);
    }
    putc('}', out);
}

static void put_devices(FILE *out, const struct page_data *data)
{
    static const struct column columns[] = {
        {"id", TEXT, offsetof(struct page_device, id)},
        {"family", INDEX, offsetof(struct page_device, family)},
        {"groups", GROUPS, 0},
        {"seen", AGO, offsetof(struct page_device, seen_ms)},
        {"usual", INTERVAL, offsetof(struct page_device, usual_ms)},
        {"level", TENTHS, offsetof(struct page_device, level_pct)},
        {"volts", THOUSANDTHS, offsetof(struct page_device, voltage_v)},
        {"celsius", TENTHS, offsetof(struct page_device, celsius)},
        {"rate", THOUSANDTHS, offsetof(struct page_device, pct_per_day)},
        {"left", TENTHS, offsetof(struct page_device, days_left)},
        {"recharges", COUNT, offsetof(struct page_device, recharges)},
    };
    const struct page_device *devices = data->devices.items;
    bool first = true;

    put_columns(out, data, "devices", &data->devices, sizeof(struct page_device), columns,
                COUNT_OF(columns));
    put_name(out, "silent_devices", "[");
    for (size_t i = 0; i < data->devices.count; i++) {
        if (devices[i].silent) {
            fprintf(out, "%s%zu", first ? "" : ",", i);
            first = false;
        }
    }
    putc(']', out);
}

static void put_series(FILE *out, const struct page_data *data)
{
    static const char *const names[PAGE_SERIES] = {
        [PAGE_COVERAGE] = "coverage", [PAGE_LEVEL] = "level", [PAGE_LOW] = "low",
        [PAGE_MEAN] = "mean",         [PAGE_HIGH] = "high",
    };
    size_t cells = data->devices.count * data->days.count;

    put_name(out, "series", "{");
    for (int i = 0; i < PAGE_SERIES; i++) {
        fprintf(out, "%s\"%s\":\"", i > 0 ? "," : "", names[i]);
        for (size_t j = 0; j < cells; j++) {
            put_digits(out, data->series[i][j], 2);
        }
        putc('"', out);
    }
    putc('}', out);
}

/* --- lists ------------------------------------------------------------------------------------ */

static void put_texts(FILE *out, const char *name, const struct page_texts *all)
{
    char **texts = all->list.items;

    put_name(out, name, "[");
    for (size_t i = 0; i < all->list.count; i++) {
        fputs(i > 0 ? "," : "", out);
        put_text(out, texts[i]);
    }
    putc(']', out);
}

static void put_days(FILE *out, const struct page_data *data)
{
    const struct page_day *days = data->days.items;

    put_name(out, "days", "[");
    for (size_t i = 0; i < data->days.count; i++) {
        fputs(i > 0 ? "," : "", out);
        put_text(out, days[i].date);
    }
    putc(']', out);
    put_name(out, "days_ms", "[");
    for (size_t i = 0; i < data->days.count; i++) {
        fprintf(out, "%s%" PRId64, i > 0 ? "," : "", days[i].from_ms);
    }
    fprintf(out, "],\"end_ms\":%" PRId64, data->end_ms);
}

static int64_t minutes_of(int64_t duration_ms)
{
    return duration_ms / 60000;
}

/* 13 digits for each gap: device, begin in minutes, length in minutes, and type, openness and
 * cause. */
static void put_gaps(FILE *out, const struct page_data *data)
{
    const struct page_gap *gaps = data->gaps.items;

    put_texts(out, "causes", &data->causes);
    fprintf(out, ",\"gaps_total\":%zu,\"gaps\":\"", data->gaps_total);
    for (size_t i = 0; i < data->gaps.count; i++) {
        bool open = gaps[i].to_ms == PAGE_NO_TIME;

        put_digits(out, (int64_t)gaps[i].device, 4);
        put_digits(out, minutes_of(gaps[i].from_ms - data->since_ms) + PAGE_MINUTES_ZERO, 4);
        put_digits(out, minutes_of(gaps[i].length_ms), 4);
        put_digits(out, (gaps[i].temperature ? 1 : 0) + (open ? 2 : 0) + 4 * (int64_t)gaps[i].cause,
                   1);
    }
    putc('"', out);
}

static void put_excursions(FILE *out, const struct page_data *data)
{
    static const struct column columns[] = {
        {"device", INDEX, offsetof(struct page_excursion, device)},
        {"side", FLAG, offsetof(struct page_excursion, below)},
        {"threshold", TENTHS, offsetof(struct page_excursion, threshold)},
        {"extreme", TENTHS, offsetof(struct page_excursion, extreme)},
        {"from", SECOND, offsetof(struct page_excursion, from_ms)},
        {"to", SECOND, offsetof(struct page_excursion, to_ms)},
    };

    static const struct column limits[] = {
        {"group", TEXT, offsetof(struct page_limit, group)},
        {"device", TEXT, offsetof(struct page_limit, device)},
        {"min", TENTHS, offsetof(struct page_limit, celsius_min)},
        {"max", TENTHS, offsetof(struct page_limit, celsius_max)},
    };

    fprintf(out, ",\"limits_total\":%zu,\"excursions_total\":%zu", data->limits_total,
            data->excursions_total);
    put_columns(out, data, "limits", &data->limits, sizeof(struct page_limit), limits,
                COUNT_OF(limits));
    put_columns(out, data, "excursions", &data->excursions, sizeof(struct page_excursion), columns,
                COUNT_OF(columns));
}

static void put_accounts(FILE *out, const struct page_data *data)
{
    static const struct column quarantine[] = {
        {"reason", TEXT, offsetof(struct page_quarantine, reason)},
        {"messages", COUNT, offsetof(struct page_quarantine, messages)},
        {"last_ms", TIME, offsetof(struct page_quarantine, last_ms)},
        {"detail", TEXT, offsetof(struct page_quarantine, detail)},
    };
    static const struct column losses[] = {
        {"client_id", TEXT, offsetof(struct page_loss, client_id)},
        {"from_ms", TIME, offsetof(struct page_loss, from_ms)},
        {"to_ms", TIME, offsetof(struct page_loss, to_ms)},
        {"reason", TEXT, offsetof(struct page_loss, reason)},
    };

    put_columns(out, data, "quarantine", &data->quarantine, sizeof(struct page_quarantine),
                quarantine, COUNT_OF(quarantine));
    put_columns(out, data, "losses", &data->losses, sizeof(struct page_loss), losses,
                COUNT_OF(losses));
    fprintf(out,
            ",\"accounts\":{\"runs\":%" PRId64 ",\"received\":%" PRId64 ",\"stored\":%" PRId64
            ",\"duplicate\":%" PRId64 ",\"quarantined\":%" PRId64 ",\"started_ms\":",
            data->runs, data->received_messages, data->stored, data->duplicate, data->quarantined);
    put_time(out, data, TIME, data->runs > 0 ? data->started_ms : PAGE_NO_TIME);
    putc('}', out);
}

static void put_readings(FILE *out, const struct page_data *data)
{
    static const struct column battery[] = {
        {"ms", TIME, offsetof(struct page_reading, time_ms)},
        {"level", HUNDREDTHS, offsetof(struct page_reading, value)},
    };
    static const struct column temperature[] = {
        {"ms", TIME, offsetof(struct page_reading, time_ms)},
        {"celsius", HUNDREDTHS, offsetof(struct page_reading, value)},
    };

    if (!data->has_readings) {
        fputs(",\"readings\":null", out);
        return;
    }
    fprintf(out, ",\"readings\":{\"device\":0");
    put_columns(out, data, "battery", &data->levels, sizeof(struct page_reading), battery,
                COUNT_OF(battery));
    put_columns(out, data, "temperature", &data->celsius, sizeof(struct page_reading), temperature,
                COUNT_OF(temperature));
    putc('}', out);
}

void page_json_write(FILE *out, const struct page_data *data)
{
    const struct ctl_page_request *request = data->request;

    fprintf(out,
            "{\"program\":\"" FOXTRACKRD_VERSION "\",\"made_ms\":%" PRId64 ",\"since_ms\":%" PRId64
            ",\"until_ms\":%" PRId64 ",\"low_pct\":%d,\"zone\":",
            clock_wall_ms(), data->since_ms, request->until_ms, STORE_LEVEL_LOW_PCT);
    put_text(out, data->zone);
    fputs(",\"scope\":{\"group\":", out);
    put_text(out, request->group);
    fputs(",\"device\":", out);
    put_text(out, request->device);
    putc('}', out);
    put_days(out, data);
    put_texts(out, "families", &data->families);
    put_texts(out, "groups", &data->groups);
    put_devices(out, data);
    put_series(out, data);
    put_gaps(out, data);
    put_excursions(out, data);
    put_accounts(out, data);
    put_readings(out, data);
    putc('}', out);
}
