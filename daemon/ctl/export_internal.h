/* Declarations shared by the files of `foxtrackrctl export`; their opening is in export.c. */
#ifndef CTL_EXPORT_INTERNAL_H
#define CTL_EXPORT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/export_text_internal.h"
#include "ctl/moment_internal.h"
#include "ctl/output_internal.h"
#include "ctl/work_internal.h"
#include "store/answers.h"

enum export_result {
    EXPORT_DONE = 0,
    EXPORT_OUTPUT,     /* the sentence is in output.problem; so it is of the next two */
    EXPORT_MEMORY,     /* out of memory */
    EXPORT_TABLE,      /* the table cannot be read so */
    EXPORT_STORE,      /* the database is locked, or the like; the sentence is store_error() */
    EXPORT_UNREADABLE, /* so it is of these two */
    EXPORT_DAMAGED,
    EXPORT_STOPPED
};

/* A column of the output. */
struct export_field {
    enum {
        EXPORT_CELL,   /* the value of column `cell` */
        EXPORT_MOMENT, /* the time in column `cell` (ms), as text */
        EXPORT_FAMILY, /* the family and the device_id of the number in column `cell` */
        EXPORT_DEVICE_ID
    } kind;
    int cell;
    bool blob;  /* the column is declared BLOB */
    char *name; /* as written: quoted for CSV where it must be, "name": for JSON */
    size_t name_length;
    struct export_date date; /* EXPORT_MOMENT */
};

/* The columns of the rows' time, to compare with --since and --until: a row lasts from `begin` to
 * `end`, which may be the same column. NULL in one of two is an open end; -1: no such column. */
struct export_span {
    int begin;
    int end;
};

/* The name of the device that was looked up last. */
struct export_device {
    struct store_query *query; /* NULL: not opened yet */
    bool known;                /* `device` was looked up */
    int64_t device;
    char *family; /* NULL: there is no such device */
    char *device_id;
};

struct export
{
    struct store *store;
    const char *name; /* of the table or view */
    struct store_relation *relation;
    bool json; /* ndjson in the place of CSV */
    struct ctl_range range;
    bool ranged;           /* --since or --until was given */
    const char *device_id; /* --device; NULL: every device */
    int64_t *devices;      /* the numbers of its devices, one for each family */
    int device_count;
    int device_cell;    /* the column `device`; -1: none */
    int device_id_cell; /* the column `device_id`; -1: none */
    struct export_span span;
    struct export_field *fields;
    int field_count;
    struct export_device looked_up;
    struct ctl_output output;
    struct ctl_work work;
    int64_t rows;  /* written */
    int64_t hexed; /* texts that are not UTF-8 */
};

/* --- ctl/export_fields.c ------------------------------------------------------------------- */

/* Decide on the columns of the output, and find the columns that options select by. Returns false:
 * out of memory. */
bool export_fields_make(struct export *export);

void export_fields_free(struct export *export);

/* Returns the index of a column of the relation, or -1. */
int export_find_column(const struct store_relation *relation, const char *name);

/* --- ctl/export_rows.c --------------------------------------------------------------------- */

/* Write the line with the columns' names, in CSV. */
enum export_result export_head(struct export *export);

/* Write a row into the output's buffer, unless the options leave it out. */
enum export_result export_row(struct export *export, const struct store_cell *row);

/* --- ctl/export_walk.c --------------------------------------------------------------------- */

/* Returns what a result of the store means for the export. */
enum export_result export_of_store(int result);

/* Read all rows, and write them. */
enum export_result export_walk(struct export *export);

#endif
