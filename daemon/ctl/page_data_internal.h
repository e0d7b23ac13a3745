/*
 * What the report's page shows, read from the database in one read transaction: devices, a value a
 * device and day of five series, gaps, excursions, quarantine and accounts.
 */
#ifndef CTL_PAGE_DATA_INTERNAL_H
#define CTL_PAGE_DATA_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/page_internal.h"
#include "store/answers.h"

#define PAGE_NO_TIME      INT64_MIN
#define PAGE_DATE_SIZE    16
#define PAGE_ZONE_SIZE    64
#define PAGE_GAPS         40000   /* the longest of them are in the page */
#define PAGE_EXCURSIONS   5000    /* the latest of them */
#define PAGE_LIMITS       5000    /* rows of the table limits that are in the page */
#define PAGE_READINGS     50000   /* of one device; above that the page has its days only */
#define PAGE_CELLS        4000000 /* devices x days: 40 MB of HTML, and 110 MB of memory meanwhile */
#define PAGE_REFUSED_SIZE 256

/* The daily series. A value is stored as tenths + 1 (celsius: + PAGE_CELSIUS_ZERO more), 0: none;
 * daemon/ctl/report/data.js reads it. */
enum { PAGE_COVERAGE, PAGE_LEVEL, PAGE_LOW, PAGE_MEAN, PAGE_HIGH, PAGE_SERIES };

/* The types of reading that coverage is about. */
enum { PAGE_BATTERY, PAGE_TEMPERATURE, PAGE_TYPES };

#define PAGE_CELSIUS_ZERO 2048
#define PAGE_VALUE_MAX    4095

/* Begins of gaps are written in minutes behind the report's begin, with this added. */
#define PAGE_MINUTES_ZERO 8388608

struct page_device {
    int64_t number; /* devices.device */
    char *id;
    size_t family;  /* index in page_data.families */
    size_t *groups; /* indexes in page_data.groups */
    size_t group_count;
    int64_t seen_ms;  /* PAGE_NO_TIME: never */
    int64_t usual_ms; /* between readings, of the type that comes oftener; 0: not known */
    int64_t usual_of_ms[PAGE_TYPES];
    int64_t first_of_ms[PAGE_TYPES]; /* time of the first reading; PAGE_NO_TIME: none */
    double level_pct;                /* NAN: none; so are the others */
    double voltage_v;
    double celsius;
    double pct_per_day;
    double days_left;
    int64_t recharges;
    bool silent;
};

struct page_gap {
    size_t device; /* index in page_data.devices */
    bool temperature;
    size_t cause; /* index in page_data.causes */
    int64_t from_ms;
    int64_t to_ms; /* PAGE_NO_TIME: it goes on */
    int64_t length_ms;
};

struct page_excursion {
    int64_t number; /* of the device */
    size_t device;  /* its index, once page_place_excursions() has set it */
    bool below;
    double threshold;
    double extreme;
    int64_t from_ms;
    int64_t to_ms; /* PAGE_NO_TIME: it goes on */
};

struct page_limit {
    char *group;        /* NULL: it is for devices of every group */
    char *device;       /* a deviceId; NULL: for every device */
    double celsius_min; /* NAN: none; so is the other */
    double celsius_max;
};

struct page_quarantine {
    char *reason;
    char *detail;
    int64_t messages;
    int64_t last_ms;
};

struct page_loss { /* a row of the table gaps */
    char *client_id;
    char *reason;
    int64_t from_ms; /* PAGE_NO_TIME: unknown */
    int64_t to_ms;
};

struct page_day {
    char date[PAGE_DATE_SIZE];
    int64_t from_ms;
};

struct page_reading {
    int64_t time_ms;
    double value; /* NAN: none */
};

/* A list that grows; see page_list_add(). */
struct page_list {
    void *items;
    size_t count;
    size_t size;
};

/* Texts in the order in which they came, each once; see page_text_index(). */
struct page_texts {
    struct page_list list; /* char * */
    void *tree;            /* of tsearch(): struct page_text_node */
};

struct page_data {
    const struct ctl_page_request *request;
    struct store *store;
    struct store *second;       /* of the same database, for a second thread; NULL: none */
    const struct store *failed; /* whose store_error() says why; NULL: of `store` */
    bool out_of_memory;
    char refused[PAGE_REFUSED_SIZE]; /* why there is no page of that much; "": there is */
    char zone[PAGE_ZONE_SIZE];
    int64_t since_ms; /* the begin of the first day */
    int64_t end_ms;   /* the begin of the day behind the last */
    int64_t first_ms; /* the begin of the first day with a reading; PAGE_NO_TIME: there is none */

    struct page_list devices; /* struct page_device, by number */
    struct page_texts families;
    struct page_texts groups;
    struct page_texts causes;
    struct page_list offsets;       /* of the time zone; page_days.c */
    struct page_list days;          /* struct page_day */
    uint16_t *series[PAGE_SERIES];  /* devices.count x days.count each */
    uint32_t *readings[PAGE_TYPES]; /* the same: how many came, until coverage is computed */
    struct page_list gaps;          /* struct page_gap, the longest first */
    size_t gaps_total;
    struct page_list excursions; /* struct page_excursion, the latest first */
    size_t excursions_total;
    struct page_list limits; /* struct page_limit */
    size_t limits_total;
    struct page_list quarantine; /* struct page_quarantine */
    struct page_list losses;     /* struct page_loss */
    struct page_list levels;     /* struct page_reading, of a single device */
    struct page_list celsius;
    bool has_readings; /* levels and celsius are complete */
    int64_t runs;
    int64_t started_ms; /* of the first run; PAGE_NO_TIME: none */
    int64_t received_messages, stored, duplicate, quarantined;
};

/* --- page_data.c: reading, and what the readers share ---------------------------------------- */

/* Read everything for data->request and data->store. STORE_OK, or a result with store_error();
 * STORE_E_PATH also for memory and for too much, see data->out_of_memory and data->refused. */
int page_data_read(struct page_data *data);

/* Frees everything that was read. */
void page_data_free(struct page_data *data);

/* Returns a copy of a cell's text, "" for NULL; NULL and data->out_of_memory: no memory. */
char *page_text(struct page_data *data, const struct store_cell *cell);

/* Returns the index of the device with this number, or SIZE_MAX: it is not in the report. */
size_t page_find_device(const struct page_data *data, int64_t number);

/* Returns the cell as a number; NAN for NULL. */
double page_number(const struct store_cell *cell);

/* Returns the cell as an integer; `none` for NULL. */
int64_t page_integer(const struct store_cell *cell, int64_t none);

/* A row that was read; data->out_of_memory ends the reading. */
typedef void (*page_row_fn)(struct page_data *data, const struct store_cell *row);

/* Read the rows of a table or view; with one device in the report only its rows. At most six
 * conditions. */
int page_rows(struct page_data *data, const char *from, const char *const *columns,
              const struct store_condition *conditions, int count, page_row_fn row);

/* Read the rows of a named statement; `values` are its parameters. */
int page_rows_named(struct page_data *data, enum store_named named, const struct store_cell *values,
                    int count, page_row_fn row);

/* --- page_lists.c --------------------------------------------------------------------------------
 */

/* Adds a zeroed item of `item_size` bytes. Returns it; NULL and data->out_of_memory: no memory. */
void *page_list_add(struct page_data *data, struct page_list *list, size_t item_size);

/* Returns the index of `text`, which is added if need be, in logarithmic time; SIZE_MAX and
 * data->out_of_memory: no memory. */
size_t page_text_index(struct page_data *data, struct page_texts *texts, const char *text);

/* Frees the texts. */
void page_texts_free(struct page_texts *texts);

/* --- page_coverage.c -------------------------------------------------------------------------- */

/* Compute the daily coverage from data->readings, which is freed. After devices and days. */
int page_read_coverage(struct page_data *data);

/* --- page_devices.c, page_days.c, page_events.c: the parts ------------------------------------ */

/* The devices of the request and their present values. */
int page_read_devices(struct page_data *data);

/* List the days of the period. */
int page_list_days(struct page_data *data);

/* The daily series of these, but for coverage. */
int page_read_days(struct page_data *data);

/* Returns a value in tenths, as a series has it. */
uint16_t page_tenths(double value, int zero);

/* Excursions of all devices, but for those that ended days before the period: data->excursions. It
 * needs no other part. */
int page_read_excursions(struct page_data *data);

/* Keep those of the report's devices and period. After devices and days. */
void page_place_excursions(struct page_data *data);

/* Gaps: data->gaps and causes, which no other part uses. After devices and days. */
int page_read_gaps(struct page_data *data);

/* Quarantine, lost sessions, accounts and limits; of a single device, readings. */
int page_read_events(struct page_data *data);

/* --- page_json.c ------------------------------------------------------------------------------ */

/* Write the data as JSON for an HTML script element: no "<" in it. */
void page_json_write(FILE *out, const struct page_data *data);

#endif
