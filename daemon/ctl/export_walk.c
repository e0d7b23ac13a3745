/*
 * Reads all rows of a table or a view without holding the write-ahead log: while a read transaction
 * is open, the log cannot be emptied, and whoever reads the output may be slow.
 *
 * A table is read in chunks along its primary key. A chunk is one read transaction: it ends when
 * the buffer is full or after CHUNK_MS, and before the buffer is written; the next chunk begins
 * behind the key of the last row. Rows come and go meanwhile. A row that is there from the
 * beginning to the end is in the output once; none is there twice, because the keys ascend; a row
 * that is added or deleted meanwhile is in the output or not. A table without such a key is read
 * along its rowid, with the same result unless somebody runs VACUUM meanwhile, which numbers the
 * rows anew.
 *
 * With a range or a device, a table whose key begins with (device, time_ms) is read device by
 * device, so that rows out of the range are not even looked at. Elsewhere the rows are compared one
 * by one.
 *
 * A view has no key, and its rows belong to one moment. Its rows are read at once, as fast as the
 * database gives them, into a temporary file, and written from there (store/answers.h). The
 * transaction lasts as long as that query, however slow the output is.
 */
#include "ctl/export_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define CHUNK_BYTES ((size_t)256 * 1024)
#define CHUNK_MS    100
#define ROWS_A_LOOK 16 /* at the clock */
#define DAY_MS      INT64_C(86400000)
#define KEY_MOST    8
#define CONDITIONS  3 /* at most */

struct walk {
    struct export *export;
    const char **columns; /* of the select: those of the table, and perhaps its rowid */
    const char *key[KEY_MOST + 1];
    int key_cells[KEY_MOST];
    int key_count;
    char *kept[KEY_MOST]; /* bytes of the last key */
    struct store_condition conditions[CONDITIONS];
    int condition_count;
    bool by_device;            /* the first condition is the device */
    bool timed;                /* the second is the time from which on rows are searched */
    struct store_query *first; /* from the beginning */
    struct store_query *next;  /* behind a key */
    struct store_cell values[CONDITIONS + KEY_MOST];
};

static enum export_result no_memory(struct export *export)
{
    strcpy(export->output.problem, "out of memory");
    return EXPORT_MEMORY;
}

enum export_result export_of_store(int result)
{
    switch (result) {
    case STORE_OK:
        return EXPORT_DONE;
    case STORE_E_STOPPED:
        return EXPORT_STOPPED;
    case STORE_E_PATH:
        return EXPORT_UNREADABLE;
    case STORE_FATAL:
        return EXPORT_DAMAGED;
    default:
        return EXPORT_STORE;
    }
}

/* Shows the progress. */
static enum export_result report(struct export *export)
{
    const struct store_watcher *watcher = &export->work.watcher;

    return watcher->progress(watcher->context, "exporting", STORE_ROWS, export->rows, 0)
               ? EXPORT_DONE
               : EXPORT_STOPPED;
}

/* Writes the buffer and shows the progress; never in a transaction. */
static enum export_result write_out(struct export *export)
{
    if (ctl_output_flush(&export->output) != 0) {
        return ctl_work_stopped() ? EXPORT_STOPPED : EXPORT_OUTPUT;
    }
    return report(export);
}

/* --- tables -------------------------------------------------------------------------------- */

/* Adds a column to the key. Returns false when the key has too many. */
static bool add_key(struct walk *walk, const char *name, int cell)
{
    if (walk->key_count == KEY_MOST) {
        return false;
    }
    walk->key_cells[walk->key_count] = cell;
    walk->key[walk->key_count++] = name;
    return true;
}

/* Returns the column at this place of the primary key, or -1. */
static int key_column(const struct store_relation *relation, int place)
{
    for (int i = 0; i < relation->count; i++) {
        if (relation->columns[i].key == place) {
            return i;
        }
    }
    return -1;
}

/* Finds the primary key. Returns false when there is none, or when a column of it may be NULL: then
 * comparisons with it would leave rows out. INTEGER PRIMARY KEY is the rowid, which is never NULL.
 */
static bool find_key(struct walk *walk)
{
    const struct store_relation *relation = walk->export->relation;
    bool alone = key_column(relation, 2) < 0 && relation->rowid != NULL;
    int at;

    while ((at = key_column(relation, walk->key_count + 1)) >= 0) {
        const struct store_column *column = &relation->columns[at];
        bool is_rowid = alone && strcasecmp(column->type, "INTEGER") == 0;

        if (!(column->required || is_rowid) || !add_key(walk, column->name, at)) {
            return false;
        }
    }
    return walk->key_count > 0;
}

/* Sets the key, and the columns to read. */
static enum export_result set_key(struct walk *walk)
{
    const struct store_relation *relation = walk->export->relation;
    bool found = find_key(walk);

    walk->columns = calloc((size_t)relation->count + 2, sizeof(walk->columns[0]));
    if (walk->columns == NULL) {
        return no_memory(walk->export);
    }
    for (int i = 0; i < relation->count; i++) {
        walk->columns[i] = relation->columns[i].name;
    }
    if (!found) {
        walk->key_count = 0;
        if (relation->rowid == NULL) {
            strcpy(walk->export->output.problem, "the table has no key by which it can be read");
            return EXPORT_TABLE;
        }
        walk->columns[relation->count] = relation->rowid;
        add_key(walk, relation->rowid, relation->count);
    }
    walk->key[walk->key_count] = NULL;
    return EXPORT_DONE;
}

/* Sets the conditions that the key can be searched by. */
static void set_conditions(struct walk *walk)
{
    const struct export *export = walk->export;
    bool timed = walk->key_count > 1 && strcmp(walk->key[1], "time_ms") == 0;

    if (strcmp(walk->key[0], "device") != 0 ||
        (export->device_id == NULL && !(timed && export->ranged))) {
        return;
    }
    walk->by_device = true;
    walk->timed = timed;
    walk->conditions[walk->condition_count++] =
        (struct store_condition){"device", STORE_EQ, store_cell_integer(0)};
    if (timed) {
        walk->conditions[walk->condition_count++] = (struct store_condition){
            "time_ms", STORE_GE, store_cell_integer(export->range.since_ms)};
    }
    if (timed && export->ranged) {
        walk->conditions[walk->condition_count++] = (struct store_condition){
            "time_ms", STORE_LT, store_cell_integer(export->range.until_ms)};
    }
    for (int i = 0; i < walk->condition_count; i++) {
        walk->values[i] = walk->conditions[i].value;
    }
}

/* Compiles the two queries. The values of the second one's key come later. */
static enum export_result open_queries(struct walk *walk)
{
    struct store *store = walk->export->store;
    const struct store_cell key[KEY_MOST] = {{0}};
    struct store_select select = {.from = walk->export->name,
                                  .columns = walk->columns,
                                  .conditions = walk->conditions,
                                  .condition_count = walk->condition_count,
                                  .order = walk->key};
    int result = store_query_select(store, &select, &walk->first);

    select.after = key;
    if (result == STORE_OK) {
        result = store_query_select(store, &select, &walk->next);
    }
    return export_of_store(result);
}

/* Copies the key of a row, whose cells end with the transaction. */
static enum export_result keep_key(struct walk *walk, const struct store_cell *row)
{
    for (int i = 0; i < walk->key_count; i++) {
        struct store_cell *value = &walk->values[walk->condition_count + i];

        *value = row[walk->key_cells[i]];
        if (value->length > 0 && (value->kind == STORE_TEXT || value->kind == STORE_BLOB)) {
            char *more = realloc(walk->kept[i], value->length);

            if (more == NULL) {
                return no_memory(walk->export);
            }
            walk->kept[i] = more;
            memcpy(more, value->bytes, value->length);
            value->bytes = more;
        }
    }
    if (walk->timed) { /* else each chunk of a device would search from the beginning */
        walk->values[1] = walk->values[walk->condition_count + 1];
    }
    return EXPORT_DONE;
}

/* Reads rows until there are no more (*done), or until the chunk is to end; the transaction is open
 * then, and the key of the last row is kept. */
static enum export_result read_chunk(struct walk *walk, struct store_query *query, bool *done)
{
    struct export *export = walk->export;
    int64_t begun_ms = clock_monotonic_ms();
    const struct store_cell *row = NULL;
    enum export_result result;

    for (unsigned read = 1;; read++) {
        result = export_of_store(store_query_next(query, &row));
        if (result != EXPORT_DONE || row == NULL) {
            *done = true;
            return result;
        }
        result = export_row(export, row);
        if (result != EXPORT_DONE) {
            return result;
        }
        if (export->output.length >= CHUNK_BYTES ||
            (read % ROWS_A_LOOK == 0 && clock_monotonic_ms() - begun_ms >= CHUNK_MS)) {
            return keep_key(walk, row);
        }
    }
}

/* Reads the rows that the conditions select, with the values that they have now. */
static enum export_result walk_rows(struct walk *walk)
{
    struct store_query *query = walk->first;
    int conditions = walk->condition_count;
    enum export_result result =
        export_of_store(store_query_again(walk->first, walk->values, conditions));

    while (result == EXPORT_DONE) {
        bool done = false;

        result = read_chunk(walk, query, &done);
        if (result != EXPORT_DONE || done) {
            break;
        }
        query = walk->next;
        /* Both are reset: the transaction ends here, before the output is written. */
        result = export_of_store(store_query_again(walk->first, walk->values, conditions));
        if (result == EXPORT_DONE) {
            result = export_of_store(
                store_query_again(query, walk->values, conditions + walk->key_count));
        }
        if (result == EXPORT_DONE) {
            result = write_out(walk->export);
        }
    }
    if (result == EXPORT_DONE) {
        result = walk->export->output.length >= CHUNK_BYTES ? write_out(walk->export)
                                                            : report(walk->export);
    }
    return result;
}

static enum export_result walk_device(struct walk *walk, int64_t device)
{
    walk->values[0] = store_cell_integer(device);
    if (walk->timed) {
        walk->values[1] = walk->conditions[1].value;
    }
    return walk_rows(walk);
}

/* Reads every device that the table has, in turn. */
static enum export_result walk_devices(struct walk *walk)
{
    static const char *const device[] = {"device", NULL};
    const struct store_condition behind[] = {{"device", STORE_GT, store_cell_integer(INT64_MIN)}};
    const struct store_select select = {.from = walk->export->name,
                                        .columns = device,
                                        .conditions = behind,
                                        .condition_count = 1,
                                        .order = device,
                                        .limit = 1};
    struct store_query *query = NULL;
    enum export_result result =
        export_of_store(store_query_select(walk->export->store, &select, &query));

    while (result == EXPORT_DONE) {
        const struct store_cell *row = NULL;
        struct store_cell number;

        result = export_of_store(store_query_next(query, &row));
        if (result != EXPORT_DONE || row == NULL) {
            break;
        }
        if (row[0].kind != STORE_INTEGER) {
            strcpy(walk->export->output.problem, "a value of the column device is no number");
            result = EXPORT_TABLE;
            break;
        }
        number = row[0];
        result =
            export_of_store(store_query_again(query, &number, 1)); /* ends the transaction, too */
        if (result == EXPORT_DONE) {
            result = walk_device(walk, number.integer);
        }
    }
    store_query_close(query);
    return result;
}

static enum export_result walk_table(struct export *export)
{
    struct walk walk = {.export = export};
    enum export_result result = set_key(&walk);

    if (result == EXPORT_DONE) {
        set_conditions(&walk);
        result = open_queries(&walk);
    }
    if (result == EXPORT_DONE && !walk.by_device) {
        result = walk_rows(&walk);
    } else if (result == EXPORT_DONE && export->device_id == NULL) {
        result = walk_devices(&walk);
    }
    for (int i = 0; walk.by_device && i < export->device_count && result == EXPORT_DONE; i++) {
        result = walk_device(&walk, export->devices[i]);
    }
    store_query_close(walk.first);
    store_query_close(walk.next);
    for (int i = 0; i < KEY_MOST; i++) {
        free(walk.kept[i]);
    }
    free(walk.columns);
    return result;
}

/* --- views --------------------------------------------------------------------------------- */

/*
 * Returns true and sets *condition for reporting_gaps, whose rows last: each is counted to the day
 * in which it ended, or to today while it goes on, and by day_ms the view need not look for all
 * gaps of all times (schema/sqlite/0010_answers.sql). A day is shorter than two of 24 hours in
 * every zone.
 */
static bool by_day(const struct export *export, struct store_condition *condition)
{
    int64_t since_ms = export->range.since_ms;
    int64_t now_ms = clock_wall_ms();

    if (since_ms == INT64_MIN || strcmp(export->name, "reporting_gaps") != 0 ||
        export_find_column(export->relation, "day_ms") < 0) {
        return false;
    }
    since_ms = (since_ms < now_ms ? since_ms : now_ms) - 2 * DAY_MS;
    *condition = (struct store_condition){"day_ms", STORE_GE, store_cell_integer(since_ms)};
    return true;
}

/* Sets the conditions that the view itself may be able to use; export_row() compares everything,
 * too. Returns how many. */
static int view_conditions(const struct export *export, struct store_condition *conditions)
{
    const char *time = export->span.begin >= 0 && export->span.begin == export->span.end
                           ? export->relation->columns[export->span.begin].name
                           : NULL;
    int count = 0;

    if (export->device_id != NULL && export->device_id_cell >= 0) {
        conditions[count++] =
            (struct store_condition){"device_id", STORE_EQ, store_cell_text(export->device_id)};
    } else if (export->device_id != NULL && export->device_count == 1) {
        conditions[count++] =
            (struct store_condition){"device", STORE_EQ, store_cell_integer(export->devices[0])};
    }
    if (export->ranged && time != NULL) {
        conditions[count++] =
            (struct store_condition){time, STORE_GE, store_cell_integer(export->range.since_ms)};
        conditions[count++] =
            (struct store_condition){time, STORE_LT, store_cell_integer(export->range.until_ms)};
    } else if (by_day(export, &conditions[count])) {
        count++;
    }
    return count;
}

static enum export_result walk_view(struct export *export)
{
    struct store_condition conditions[CONDITIONS];
    const struct store_select select = {.from = export->name,
                                        .conditions = conditions,
                                        .condition_count = view_conditions(export, conditions),
                                        .spooled = true};
    struct store_query *query = NULL;
    enum export_result result = export_of_store(store_query_select(export->store, &select, &query));
    const struct store_cell *row = NULL;

    do {
        if (result == EXPORT_DONE) {
            result = export_of_store(store_query_next(query, &row));
        }
        if (result == EXPORT_DONE && row != NULL) {
            result = export_row(export, row);
        }
        if (result == EXPORT_DONE && export->output.length >= CHUNK_BYTES) {
            /* The names of devices were looked up in the database itself. */
            result = row != NULL ? export_of_store(store_query_rest(query)) : EXPORT_DONE;
            if (result == EXPORT_DONE) {
                result = write_out(export);
            }
        }
    } while (result == EXPORT_DONE && row != NULL);
    store_query_close(query);
    return result;
}

enum export_result export_walk(struct export *export)
{
    enum export_result result = export_head(export);

    if (result == EXPORT_DONE) {
        result = export->relation->view ? walk_view(export) : walk_table(export);
    }
    return result == EXPORT_DONE ? write_out(export) : result;
}
